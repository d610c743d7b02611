#include "session.hpp"

#include "verdict.hpp"

#include <muster/core/timeout.hpp>
#include <muster/device/redact.hpp>
#include <muster/ssh/error.hpp>

#include <algorithm>
#include <array>
#include <random>

namespace muster::device {

namespace {

using namespace std::chrono_literals;

// A device whose echo was seen before, and is not seen now, is probably slow: the prompt would be
// that of an earlier answer. One that has never echoed probably does not.
constexpr auto echo_patience = 10s;
constexpr auto first_echo_patience = 5s;

// A prompt of another name than the device's, with log messages after it, is most likely a part of
// the answer.
constexpr int doubt_factor = 20;

// A login shell is given this long to be silent before it is replaced.
constexpr auto shell_silence = 150ms;
constexpr auto shell_patience = 2s;

constexpr auto close_limit = 10s;

std::string seconds(std::chrono::milliseconds limit) {
    std::string text = std::to_string(limit.count() / 1000);
    if (const auto rest = limit.count() % 1000; rest != 0) {
        std::string digits = std::to_string(1000 + rest).substr(1);
        digits.resize(digits.find_last_not_of('0') + 1);
        text += "." + digits;
    }
    return text + " s";
}

std::string random_word() {
    std::random_device source;
    std::string word = "muster-";
    for (int i = 0; i < 16; ++i) {
        word += "0123456789abcdef"[source() % 16];
    }
    return word;
}

std::string replaced(std::string text, std::string_view placeholder, std::string_view value) {
    if (const std::size_t at = text.find(placeholder); at != std::string::npos) {
        text.replace(at, placeholder.size(), value);
    }
    return text;
}

} // namespace

/// Ends the session unless the operation came to its end, and keeps others out meanwhile.
class Session::Guard {
public:
    explicit Guard(Session& session) : session_(session) {
        if (session_.busy_) {
            throw RuntimeError(
                "a Cli is used by two tasks at once: give each a session of its own");
        }
        session_.busy_ = true;
    }

    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    ~Guard() {
        session_.busy_ = false;
        if (!done_) {
            session_.abort();
        }
    }

    void done() noexcept { done_ = true; }

private:
    Session& session_;
    bool done_ = false;
};

Session::Session(Device device, const Platform& platform, CliOptions options,
                 std::unique_ptr<Terminal> terminal)
    : device_(std::move(device)),
      platform_(&platform),
      options_(std::move(options)),
      limits_(limits_for(device_, platform, options_.timeouts)),
      secrets_{device_.password, device_.secret, device_.passphrase},
      terminal_(std::move(terminal)),
      reader_(platform, static_cast<std::size_t>(ssh::ShellOptions{}.width)) {}

Coro<void> Session::say(Turn turn) {
    check_open();
    Guard guard(*this);
    const Clock::time_point deadline = Clock::now() + turn.limit;
    if (turn.goes_on) {
        reader_.expect_echo(turn.lines);
    } else {
        reader_.begin(turn.lines, turn.dialogue);
        given_.clear();
    }
    in_text_ = false;
    std::string bytes;
    for (const std::string& line : turn.lines) {
        for (const char c : line) {
            // Inside a text, `?` is a character like any other.
            if (c == '?' && !turn.goes_on) {
                bytes += platform_->literal_next;
            }
            bytes += c;
        }
        bytes += '\n';
    }
    if (!bytes.empty()) {
        co_await write(std::move(bytes), turn, deadline);
    }
    co_await listen(turn, deadline);
    guard.done();
}

Coro<void> Session::listen(const Turn& turn, Clock::time_point deadline) {
    for (;;) {
        Clock::time_point until = deadline;
        bool silence_will_do = false;
        switch (const ReplyReader::State state = reader_.state()) {
        case ReplyReader::State::prompt:
            reader_.accept();
            co_return;
        case ReplyReader::State::text:
            in_text_ = true;
            co_return;
        case ReplyReader::State::question: {
            const Answer& question = reader_.question();
            std::string reply = reply_to(question, turn);
            reader_.answered();
            co_await write(std::move(reply), turn, deadline);
            continue;
        }
        case ReplyReader::State::pager: {
            std::string reply = reader_.pager().reply;
            reader_.answered();
            co_await write(std::move(reply), turn, deadline);
            continue;
        }
        case ReplyReader::State::likely_prompt:
            until = std::min(deadline,
                             Clock::now() + (reader_.is_doubtful() ? doubt_factor * options_.settle
                                                                   : options_.settle));
            silence_will_do = true;
            break;
        case ReplyReader::State::unechoed_prompt: {
            const Clock::duration patience =
                reader_.has_echoed() ? echo_patience : first_echo_patience;
            until = std::min(deadline, Clock::now() + patience);
            silence_will_do = true;
            break;
        }
        case ReplyReader::State::more:
            static_cast<void>(state);
            break;
        }
        const std::optional<std::string> bytes = co_await read(turn, until);
        if (bytes) {
            reader_.feed(*bytes);
            if (reader_.size() > options_.max_output) {
                throw DeviceError(failure(Phase::transfer,
                                          "the answer to " + turn.what + " is larger than " +
                                              std::to_string(options_.max_output) + " bytes",
                                          "ask for less, or raise max_output"));
            }
        } else if (silence_will_do) {
            if (reader_.state() == ReplyReader::State::unechoed_prompt && !reader_.has_echoed()) {
                reader_.give_up_echo();
            }
            reader_.accept();
            co_return;
        } else {
            throw DeviceError(timed_out(turn));
        }
    }
}

Coro<void> Session::write(std::string text, const Turn& turn, Clock::time_point deadline) {
    std::string why;
    bool late = false;
    try {
        co_await timeout_at(deadline, [&] { return terminal_->write(std::move(text)); });
        co_return;
    } catch (const TimeoutError&) {
        late = true;
    } catch (const ssh::Error& error) {
        why = error.reason();
        late = error.kind() == ssh::ErrorKind::timeout;
    }
    if (late) {
        Failure failed = failure(turn.phase, "the device took no input for " + seconds(turn.limit));
        failed.timed_out = true;
        throw DeviceError(std::move(failed));
    }
    throw DeviceError(lost(turn, why));
}

Coro<std::optional<std::string>> Session::read(const Turn& turn, Clock::time_point until) {
    std::string bytes;
    std::string why;
    try {
        bytes = co_await timeout_at(until, [this] { return terminal_->read(); });
    } catch (const TimeoutError&) {
        co_return std::nullopt;
    } catch (const ssh::Error& error) {
        why = error.reason();
    }
    if (bytes.empty()) {
        throw DeviceError(lost(turn, why));
    }
    co_return bytes;
}

std::string Session::reply_to(const Answer& question, const Turn& turn) {
    const std::string end = question.newline ? "\n" : "";
    if (question.what == Answer::What::text) {
        return question.reply + end;
    }
    if (question.what == Answer::What::username) {
        // Asked for the name again: the password was refused.
        const bool again = std::ranges::find(given_, &question) != given_.end();
        given_.push_back(&question);
        if (!again) {
            return device_.username + end;
        }
    } else if (std::ranges::find(given_, &question) == given_.end()) {
        given_.push_back(&question);
        const bool enable = question.what == Answer::What::enable_secret;
        const Secret& secret = enable ? device_.secret : device_.password;
        if (secret.empty()) {
            throw DeviceError(failure(
                Phase::authentication,
                enable ? "the device asks for an enable secret, and there is none for it"
                       : "the device asks for a password on its terminal, and there is none for it",
                enable ? "set `secret` for the device in the inventory"
                       : "set `password` for the device in the inventory"));
        }
        return secret.reveal() + end;
    }
    Failure failed = failure(
        Phase::authentication,
        turn.phase == Phase::authentication ? "the device refused the enable secret"
                                            : "the device refused the login on its terminal",
        turn.phase == Phase::authentication ? "check `secret` for the device in the inventory"
                                            : "check `username` and `password` in the inventory");
    failed.refused = true;
    throw DeviceError(std::move(failed));
}

Coro<void> Session::start() {
    if (!platform_->take_over.empty()) {
        co_await take_over();
    } else {
        Turn first;
        first.dialogue = platform_->login_dialogue;
        first.limit = limits_.prompt;
        first.phase = Phase::prompt;
        first.what = "the first prompt";
        co_await say(std::move(first));
    }
    // What stands before the first prompt on its line may be the end of a banner; the second one
    // stands alone, and its host name is the device's.
    std::vector<std::string> commands = platform_->on_open;
    if (commands.empty()) {
        commands.emplace_back();
    }
    for (std::string& command : commands) {
        Turn turn;
        turn.what = command.empty() ? "the second prompt" : "`" + command + "`";
        turn.lines.push_back(std::move(command));
        turn.dialogue = platform_->login_dialogue;
        turn.limit = limits_.prompt;
        turn.phase = Phase::prompt;
        co_await say(std::move(turn));
    }
}

Coro<void> Session::take_over() {
    check_open();
    Turn turn;
    turn.limit = limits_.prompt;
    turn.phase = Phase::prompt;
    turn.what = "the first prompt";
    {
        // A shell that is still starting may throw away what is typed: wait until it has said
        // something and fallen silent.
        Guard guard(*this);
        const Clock::time_point give_up = Clock::now() + shell_patience;
        Clock::time_point until = give_up;
        while (const std::optional<std::string> bytes = co_await read(turn, until)) {
            reader_.feed(*bytes);
            until = std::min(give_up, Clock::now() + shell_silence);
        }
        guard.done();
    }
    const std::string word = random_word();
    reader_.learn_name(word);
    const std::size_t half = word.size() / 2;
    turn.lines.push_back(replaced(replaced(platform_->take_over, "{1}", word.substr(0, half)),
                                  "{2}", word.substr(half)));
    co_await say(std::move(turn));
}

Coro<void> Session::enter(Mode mode) {
    if (platform_->transitions.empty()) {
        co_return;
    }
    if (this->mode() == mode) {
        co_return;
    }
    const Transition* direct = platform_->transition(this->mode(), mode);
    if (direct == nullptr) {
        const Transition* first = platform_->transition(this->mode(), Mode::privileged);
        direct = platform_->transition(Mode::privileged, mode);
        if (first == nullptr || direct == nullptr) {
            throw DeviceError(failure(Phase::command, "there is no way from the prompt `" +
                                                          reader_.prompt_text() + "` to " +
                                                          std::string(to_string(mode)) + " mode"));
        }
        co_await follow(*first);
    }
    co_await follow(*direct);
}

Coro<void> Session::follow(const Transition& transition) {
    const bool enable = transition.to == Mode::privileged && transition.from == Mode::exec;
    Turn turn;
    turn.lines = {transition.command};
    turn.dialogue = transition.dialogue;
    turn.limit = enable ? limits_.authenticate : limits_.command;
    turn.phase = enable ? Phase::authentication : Phase::command;
    turn.what = "`" + transition.command + "`";
    co_await say(std::move(turn));
    if (mode() == transition.to) {
        co_return;
    }
    const std::string words = masked(words_of(reader_.answer()));
    if (enable) {
        const bool sent = !given_.empty();
        abort();
        Failure failed =
            failure(Phase::authentication,
                    sent ? "the device refused the enable secret: " + words
                         : "the device did not enter privileged mode: " + words,
                    sent ? "check `secret` for the device in the inventory"
                         : "the device may have no enable secret, or the user no right to it");
        failed.refused = true;
        throw DeviceError(std::move(failed));
    }
    const bool refused = find_marker(reader_.answer(), transition.refusals).has_value();
    throw DeviceError(failure(
        Phase::command,
        "`" + transition.command + "` did not lead to " + std::string(to_string(transition.to)) +
            " mode" + (words.empty() ? "" : ": " + words),
        refused ? "somebody else may be configuring the device: try again later"
                : "check that the user may configure the device"));
}

Coro<void> Session::close() {
    if (closed()) {
        co_return;
    }
    Guard guard(*this); // aborts at its end, whatever happens
    try {
        co_await timeout(close_limit, [this] { return terminal_->close(); });
    } catch (const std::exception&) {
        // The connection is given up either way; CancelledError is no std::exception.
    }
}

Failure Session::failure(Phase phase, std::string_view reason, std::string_view remedy) const {
    Failure result;
    result.device = device_.name;
    result.host = endpoint(device_);
    result.phase = phase;
    result.reason = reason;
    result.remedy = remedy;
    return result;
}

std::string Session::masked(std::string_view text) const { return redact(text, secrets_); }

std::string Session::seen() const {
    const std::string line = reader_.last_line();
    return line.empty() ? "the device said nothing" : "last line seen: `" + masked(line) + "`";
}

Failure Session::timed_out(const Turn& turn) const {
    const bool first = turn.lines.empty() || turn.what == "the first prompt";
    std::string remedy;
    if (first) {
        remedy = reader_.last_line().empty()
                     ? "the device accepts a login but gives no prompt: look at its lines and load"
                     : "if that is its prompt, its platform is not " + platform_->name;
    } else {
        remedy = "if the device was still at work, raise the time-out; if that is a question, give "
                 "its answer in the dialogue";
    }
    Failure failed =
        failure(turn.phase,
                (first ? "no prompt within " : "no answer to " + turn.what + " within ") +
                    seconds(turn.limit) + "; " + seen(),
                remedy);
    failed.timed_out = true;
    return failed;
}

Failure Session::lost(const Turn& turn, std::string_view why) const {
    const std::string reason = why.empty() ? "the device closed the connection"
                                           : "the connection was lost: " + std::string(why);
    const bool first = turn.lines.empty();
    return failure(
        turn.phase,
        reason + (first ? " before its first prompt; " : " during " + turn.what + "; ") + seen(),
        first ? "its lines may be in use, or the user may have no right to a shell" : "");
}

void Session::check_open() const {
    if (closed()) {
        throw DeviceError(failure(Phase::command, "the session is closed", "open a new one"));
    }
}

} // namespace muster::device
