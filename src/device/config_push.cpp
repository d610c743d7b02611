#include "config_push.hpp"

#include "verdict.hpp"

#include <optional>
#include <utility>

namespace muster::device {

ConfigPush::ConfigPush(Session& session, const ConfigText& config, const ConfigOptions& options)
    : session_(session),
      config_(config),
      limit_(options.line_timeout.value_or(session.limits().config_line)),
      on_progress_(options.on_progress),
      has_modes_(session.platform().transition(Mode::privileged, Mode::config) != nullptr) {
    progress_.source = config.source();
    progress_.total = config.size();
}

Coro<ConfigResult> ConfigPush::run() {
    if (config_.empty()) {
        co_return result_;
    }
    if (has_modes_) {
        co_await session_.enter(Mode::config);
    }
    for (const ConfigCommand& command : config_.commands()) {
        progress_.line = command.line;
        tell();
        co_await send(command);
        if (!refusal_.empty()) {
            // A session that is lost on the way out has been told by then what matters.
            std::string aftermath = "configuration mode was left";
            try {
                co_await leave();
            } catch (const DeviceError& error) {
                aftermath = "the session was lost on leaving configuration mode";
            }
            if (!has_modes_) {
                aftermath = "nothing after it was sent";
            }
            const std::string shown = session_.masked(command.lines().front());
            throw ConfigRejected(
                session_.failure(Phase::command,
                                 place(command) + " `" + shown + "` was refused: " + refusal_ +
                                     "; " + so_far() + ", " + aftermath + ", nothing was saved",
                                 "correct the line; those before it are in effect"),
                progress_, shown, refusal_);
        }
        ++progress_.applied;
        ++result_.applied;
        const bool last = progress_.applied == progress_.total;
        if (has_modes_ && !last && session_.mode() != Mode::config) {
            throw ConfigError(
                session_.failure(Phase::command,
                                 place(command) + " `" + session_.masked(command.text) +
                                     "` left configuration mode; " + so_far() +
                                     ", nothing was saved",
                                 "the lines after it would have been executed as commands: remove "
                                 "the line, or move it to the end"),
                progress_);
        }
    }
    progress_.line = 0;
    tell();
    std::optional<Failure> failed;
    try {
        co_await leave();
    } catch (const DeviceError& error) {
        failed = error.failure();
    }
    if (failed) {
        failed->reason += "; " + so_far() + ", nothing was saved";
        throw ConfigError(std::move(*failed), progress_);
    }
    co_return std::move(result_);
}

/// Sends one command. A refusal is noted, everything else that goes wrong is a ConfigError.
Coro<void> ConfigPush::send(const ConfigCommand& command) {
    answer_.clear();
    refusal_.clear();
    try {
        co_await send_lines(command);
    } catch (const DeviceError& error) {
        Failure failed = error.failure();
        failed.reason = place(command) + ": " + failed.reason + "; " + so_far() +
                        ", whether this line was is not known, nothing was saved";
        if (failed.remedy.empty()) {
            failed.remedy = "look at the device before configuring it again";
        }
        progress_.line_unknown = true;
        throw ConfigError(std::move(failed), progress_);
    }
    judge(command);
}

Coro<void> ConfigPush::send_lines(const ConfigCommand& command) {
    const std::vector<std::string_view> lines = command.lines();
    Turn first = turn_for(command);
    first.lines.emplace_back(lines.front());
    co_await session_.say(std::move(first));
    answer_ = session_.reader().answer();
    if (lines.size() == 1 && !session_.in_text()) {
        co_return;
    }
    if (session_.in_text()) {
        // Now, and not before, is it certain that the device takes the rest as text and does not
        // execute it line by line.
        Turn rest = turn_for(command);
        rest.goes_on = true;
        rest.lines.assign(lines.begin() + 1, lines.end());
        co_await session_.say(std::move(rest));
        answer_ = session_.reader().answer();
        co_return;
    }
    for (std::size_t i = 1; i < lines.size(); ++i) {
        if (find_marker(answer_, session_.platform().errors)) {
            co_return;
        }
        Turn next = turn_for(command);
        next.lines.emplace_back(lines[i]);
        co_await session_.say(std::move(next));
        answer_ += session_.reader().answer();
    }
}

void ConfigPush::judge(const ConfigCommand& command) {
    const Platform& platform = session_.platform();
    const int status = session_.reader().prompt().exit_status.value_or(0);
    if (find_marker(answer_, platform.errors)) {
        refusal_ = session_.masked(words_of(answer_));
    } else if (status != 0) {
        const std::string words = session_.masked(words_of(answer_));
        refusal_ = "status " + std::to_string(status) + (words.empty() ? "" : ": " + words);
    }
    if (refusal_.empty()) {
        for (const std::string& warning : find_warnings(answer_, platform)) {
            result_.warnings.push_back({.line = command.line, .words = session_.masked(warning)});
        }
    }
}

void ConfigPush::tell() const {
    if (on_progress_) {
        on_progress_(progress_);
    }
}

Coro<void> ConfigPush::leave() {
    if (has_modes_ && session_.mode() == Mode::config) {
        co_await session_.enter(Mode::privileged);
    }
}

Turn ConfigPush::turn_for(const ConfigCommand& command) const {
    Turn turn;
    turn.dialogue = session_.platform().config_dialogue;
    turn.limit = limit_;
    turn.what = "`" + session_.masked(command.lines().front()) + "`";
    return turn;
}

std::string ConfigPush::place(const ConfigCommand& command) const {
    return (config_.source().empty() ? std::string("line ") : config_.source() + ":") +
           std::to_string(command.line);
}

std::string ConfigPush::so_far() const {
    return std::to_string(progress_.applied) + " of " + std::to_string(progress_.total) +
           " lines applied";
}

} // namespace muster::device
