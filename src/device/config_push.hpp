#pragma once

#include "session.hpp"

#include <functional>
#include <string>

namespace muster::device {

/// One configuration on its way to one device, command by command.
class ConfigPush {
public:
    /// All three must outlive the push.
    ConfigPush(Session& session, const ConfigText& config, const ConfigOptions& options);

    Coro<ConfigResult> run();

private:
    Coro<void> send(const ConfigCommand& command);
    Coro<void> send_lines(const ConfigCommand& command);
    Coro<void> leave();
    void judge(const ConfigCommand& command);
    void tell() const;
    [[nodiscard]] Turn turn_for(const ConfigCommand& command) const;
    [[nodiscard]] std::string place(const ConfigCommand& command) const;
    [[nodiscard]] std::string so_far() const;

    Session& session_;
    const ConfigText& config_;
    std::chrono::milliseconds limit_;
    std::function<void(const ConfigProgress&)> on_progress_;
    bool has_modes_;
    ConfigProgress progress_;
    ConfigResult result_;
    /// What the device said to the command that is being sent.
    std::string answer_;
    /// The answer refuses the command; why.
    std::string refusal_;
};

} // namespace muster::device
