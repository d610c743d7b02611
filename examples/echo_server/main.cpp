// An echo server and two of its clients in one program and one thread.
#include <muster/muster.hpp>
#include <muster/net.hpp>

#include <iostream>
#include <string>
#include <utility>

using namespace muster;

/// Runs once for each client, as a task.
Coro<> echo(Stream client) {
    std::cout << "server: somebody is there\n";
    while (auto line = co_await client.next_line()) {
        co_await client.write(*line); // waits while the client reads slower than it is written to
    }
    std::cout << "server: a client has gone\n";
}

Coro<> talk(std::string name, std::uint16_t port) {
    Stream server = co_await open_connection("127.0.0.1", port);
    for (const std::string word : {"hello", "goodbye"}) {
        co_await server.write(word + " from " + name + "\n");
        const std::string answer = co_await server.readline();
        std::cout << name << ": got " << answer;
    }
    server.close();
    co_await server.wait_closed();
}

Coro<> run_both() {
    Server server = co_await start_server(echo, "127.0.0.1", 0); // 0: any free port
    co_await gather(talk("anna", server.port()), talk("bert", server.port()));
    server.close();
    co_await server.wait_closed();
    std::cout << "server: closed\n";
}

int main() { run(run_both()); }
