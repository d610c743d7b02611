#include "session_steps.hpp"

#include "ssh/wire.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

const char* to_string(Step step) {
    constexpr std::array names{"version", "kexinit", "kex", "newkeys", "service",
                               "auth",    "channel", "pty", "shell",   "data",
                               "command", "close",   "end"};
    return names[static_cast<std::size_t>(step)];
}

void SessionSteps::begins(Step step, const FaultProxy& proxy) {
    starts_[step] = {proxy.seen(Direction::to_client).size(),
                     proxy.seen(Direction::to_server).size()};
}

void SessionSteps::read_clear_text(const FaultProxy& proxy, Direction direction) {
    constexpr unsigned char newkeys = 21;
    const auto index = static_cast<std::size_t>(direction);
    const std::string& bytes = proxy.seen(direction);
    const auto line = bytes.find("\r\n");
    if (line == std::string::npos) {
        throw std::runtime_error("no identification has passed");
    }
    std::size_t at = line + 2;
    starts_[Step::version][index] = 0;
    Step step = Step::kexinit;
    unsigned char message = 0;
    while (message != newkeys) {
        muster::ssh::detail::WireReader packet(std::string_view(bytes).substr(at));
        const std::uint32_t length = packet.uint32();
        const std::uint8_t padding = packet.byte();
        message = packet.byte();
        if (!packet.ok()) {
            throw std::runtime_error("the key exchange has not passed");
        }
        step = message == newkeys ? Step::newkeys : step;
        starts_[step][index] = at;
        if (step == Step::kex && direction == Direction::to_client) {
            proof_end_ = at + 4 + length - padding;
        }
        step = Step::kex;
        at += 4 + length;
    }
    starts_[Step::service][index] = at;
}

void SessionSteps::complete(const FaultProxy& proxy) {
    read_clear_text(proxy, Direction::to_client);
    read_clear_text(proxy, Direction::to_server);
    constexpr auto server = static_cast<std::size_t>(Direction::to_server);
    // The client waits for each answer before it asks for something else: one passage, one request.
    std::vector<std::array<std::size_t, 2>> requests;
    for (const auto& passage : proxy.passages()) {
        if (passage.direction == Direction::to_server) {
            requests.push_back(passage.before);
        }
    }
    const auto next = [&requests](std::size_t begun) {
        return *std::find_if(requests.begin(), requests.end(),
                             [begun](const auto& before) { return before[server] > begun; });
    };
    starts_[Step::auth] = next(starts_[Step::service][server]);
    starts_[Step::pty] = next(starts_[Step::channel][server]);
    starts_[Step::shell] = next(starts_[Step::pty][server]);
    // Opening, command, and the goodbye, for which the device need not wait. Where the client told
    // of it, the proxy may not have read it yet.
    const auto command = next(starts_[Step::command][server]);
    starts_[Step::close][server] = next(command[server])[server];
}

std::size_t SessionSteps::start(Step step, Direction direction) const {
    return starts_.at(step)[static_cast<std::size_t>(direction)];
}

Step SessionSteps::at(std::size_t at, Direction direction) const {
    const auto later = std::find_if(all_steps.begin(), all_steps.end(),
                                    [&](Step step) { return start(step, direction) > at; });
    return *std::prev(later);
}
