#pragma once
/// A TCP proxy on loopback that harms what passes through it, at a given byte, for tests.

#include <muster/core/coro.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// Which way bytes go.
enum class Direction : std::uint8_t { to_client, to_server };

const char* to_string(Direction direction);

/// What a proxy does, once, when the first `at` bytes of a direction have passed and the next one
/// has come.
struct Harm {
    enum class Kind : std::uint8_t {
        none,
        close,    ///< FIN to both sides; what comes later is dropped
        reset,    ///< RST to both sides
        truncate, ///< FIN in this direction, what comes later is dropped; the other one goes on
        stall,    ///< silence in this direction; the connection stays
        corrupt,  ///< all bits of this byte are inverted
        delay,    ///< this direction waits for a while, then goes on
        drip,     ///< from here on the bytes of this direction come one by one
    };

    Kind kind = Kind::none;
    Direction direction = Direction::to_client;
    std::size_t at = 0;
};

const char* to_string(Harm::Kind kind);

/// Stands between one client and a server. Lives on the loop that runs the test; all it does can be
/// waited for. Dropping it cuts the connection.
class FaultProxy {
public:
    FaultProxy(std::string host, std::uint16_t port, Harm harm = {});
    FaultProxy(FaultProxy&&) noexcept;
    FaultProxy& operator=(FaultProxy&&) noexcept;
    ~FaultProxy();

    /// Plans another harm, before or while bytes pass; one that was done stays done.
    void plan(Harm harm) noexcept;

    /// What the client is sent first, before anything of the server's.
    void greet(std::string text);

    /// Listens on 127.0.0.1; the port. Serves the first client.
    muster::Coro<std::uint16_t> listen();

    /// Waits until the harm is done.
    muster::Coro<void> harmed();

    /// Waits until client and server have both gone.
    muster::Coro<void> over();

    [[nodiscard]] bool is_harmed() const noexcept;

    /// Something that was read in one go, and what had come of each direction before it.
    struct Passage {
        Direction direction;
        std::array<std::size_t, 2> before;
    };

    [[nodiscard]] const std::vector<Passage>& passages() const noexcept;

    /// All bytes that have come in this direction, before they were harmed.
    [[nodiscard]] const std::string& seen(Direction direction) const noexcept;

private:
    class State;

    std::shared_ptr<State> state_;
};
