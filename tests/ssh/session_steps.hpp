#pragma once
/// Where in the byte streams of an SSH session its steps begin: from a clean run through a proxy.

#include "fault_proxy.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

/// The steps of a session that connects, opens a shell, asks it something, runs a command and
/// closes both.
enum class Step : std::uint8_t {
    version,
    kexinit,
    kex, ///< the keys, and the proof of the host key
    newkeys,
    service,
    auth,
    channel, ///< opening one for the shell
    pty,
    shell,
    data,
    command, ///< another channel, from its opening to the command's end
    close,
    end,
};

const char* to_string(Step step);

/// All steps in which something passes.
inline constexpr std::array all_steps{Step::version, Step::kexinit, Step::kex,     Step::newkeys,
                                      Step::service, Step::auth,    Step::channel, Step::pty,
                                      Step::shell,   Step::data,    Step::command, Step::close};

class SessionSteps {
public:
    /// The client is about to begin `step`: channel, data, command, close or end. The other steps
    /// are found by looking at what passes.
    void begins(Step step, const FaultProxy& proxy);

    /// After the clean run.
    void complete(const FaultProxy& proxy);

    /// How many bytes of the direction had come when the step began.
    [[nodiscard]] std::size_t start(Step step, Direction direction) const;

    /// The step during which byte `at` passes.
    [[nodiscard]] Step at(std::size_t at, Direction direction) const;

    /// The last byte of the server's signature in its key exchange reply.
    [[nodiscard]] std::size_t last_byte_of_proof() const noexcept { return proof_end_ - 1; }

private:
    void read_clear_text(const FaultProxy& proxy, Direction direction);

    std::map<Step, std::array<std::size_t, 2>> starts_;
    std::size_t proof_end_ = 0;
};
