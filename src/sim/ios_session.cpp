#include "ios_show.hpp"
#include "ios_state.hpp"
#include "line_editor.hpp"

#include <muster/sim/ios.hpp>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

namespace muster::sim {

namespace {

constexpr std::string_view more_prompt = " --More-- ";
constexpr int password_attempts = 3;

std::string terminal_lines(std::string_view text) {
    std::string result;
    result.reserve(text.size() + text.size() / 16);
    for (const char c : text) {
        if (c == '\n') {
            result += '\r';
        }
        result += c;
    }
    return result;
}

} // namespace

class IosSession::Impl {
public:
    Impl(IosState& device, IosSessionOptions options)
        : device_(device), options_(std::move(options)), privileged_(options_.privileged) {}

    std::string greeting() {
        std::string text;
        for (const auto* kind : {"motd", "exec"}) {
            if (auto banner = device_.banner(kind); !banner.empty()) {
                text += (banner.starts_with('\n') ? "" : "\n") + banner;
            }
        }
        return terminal_lines(text + "\n") + prompt();
    }

    void input(std::string_view bytes) { typed_ += bytes; }

    std::optional<IosReply> step() {
        if (closed_ || typed_.empty()) {
            return std::nullopt;
        }
        IosReply reply;
        std::size_t used = 0;
        while (used < typed_.size()) {
            if (take_key(typed_[used++], reply)) {
                break;
            }
        }
        typed_.erase(0, used);
        reply.closed = closed_;
        return reply;
    }

    std::string exec(std::string_view command) {
        if (!match_exec(command).ok()) {
            return "\nLine has invalid autocommand \"" + std::string(command) + "\"";
        }
        options_.length = 0;
        return terminal_lines(run(command, 0));
    }

    [[nodiscard]] std::string prompt() const {
        if (configuring_) {
            // IOS cuts the name in configuration mode, where the prompt has more to say.
            return device_.hostname().substr(0, 20) + "(" + std::string(mode_name(place_.mode())) +
                   ")#";
        }
        return device_.hostname() + (privileged_ ? "#" : ">");
    }

    void resize(int width, int length) {
        options_.width = width > 0 ? width : options_.width;
        options_.length = length > 0 ? length : options_.length;
    }

    [[nodiscard]] bool closed() const { return closed_; }

private:
    enum class Asks { command, secret, banner, page, reload_save, reload, erase, file_name };

    // True when the reply is complete: a line or an answer to a question was taken.
    bool take_key(char c, IosReply& reply) {
        if (asks_ == Asks::page) {
            return turn_page(c, reply);
        }
        if (asks_ == Asks::reload || asks_ == Asks::erase) {
            return confirm(c, reply);
        }
        switch (editor_.feed(c, asks_ == Asks::secret, reply.echo)) {
        case LineEditor::Event::none:
            return false;
        case LineEditor::Event::enter:
            take_line(reply);
            return true;
        case LineEditor::Event::interrupt:
            editor_.take();
            reply.echo += asks_ == Asks::banner ? "^C" : "";
            if (configuring_) {
                leave_config();
            }
            asks_ = Asks::command;
            reply.output = "\r\n" + prompt();
            return true;
        case LineEditor::Event::end_of_config:
            return end_config(reply);
        case LineEditor::Event::help:
            return help(reply);
        case LineEditor::Event::complete:
            complete(reply);
            return false;
        }
        return false;
    }

    void take_line(IosReply& reply) {
        const auto line = editor_.take();
        reply.line_end = true;
        reply.configuring = configuring_;
        switch (asks_) {
        case Asks::secret:
            answer(reply, check_secret(line));
            break;
        case Asks::banner:
            read_banner(line, reply);
            break;
        case Asks::file_name:
            asks_ = Asks::command;
            answer(reply, save());
            break;
        case Asks::reload_save:
            if (abbreviates(line, "yes")) {
                device_.save();
            }
            ask(reply, Asks::reload, "Proceed with reload? [confirm]");
            break;
        default:
            answer(reply,
                   configuring_ ? configure(line, prompt().size()) : run(line, prompt().size()));
            break;
        }
    }

    // Sends `text`, a page at a time, and the prompt.
    void answer(IosReply& reply, std::string text) {
        text = terminal_lines(text);
        if (paged_ && options_.length > 1) {
            pages_ = std::move(text);
            asks_ = Asks::page;
            next_page(reply, options_.length - 1);
            return;
        }
        paged_ = false;
        reply.output += text;
        if (!closed_) {
            reply.output += question_.empty() && asks_ == Asks::command ? prompt() : question_;
        }
        question_.clear();
    }

    void ask(IosReply& reply, Asks what, std::string_view question) {
        asks_ = what;
        reply.output += question;
    }

    void next_page(IosReply& reply, int lines) {
        std::size_t end = 0;
        for (; lines > 0 && end < pages_.size(); --lines) {
            const auto next = pages_.find('\n', end);
            end = next == std::string::npos ? pages_.size() : next + 1;
        }
        reply.output += pages_.substr(0, end);
        pages_.erase(0, end);
        if (pages_.empty()) {
            end_pages(reply);
        } else {
            reply.output += more_prompt;
        }
    }

    void end_pages(IosReply& reply) {
        pages_.clear();
        paged_ = false;
        asks_ = Asks::command;
        reply.output += prompt();
    }

    bool turn_page(char c, IosReply& reply) {
        // The prompt for more is wiped out, as on the real terminal.
        const std::string back(more_prompt.size(), '\b');
        reply.output += back + std::string(more_prompt.size(), ' ') + back;
        if (c == ' ') {
            next_page(reply, options_.length - 1);
        } else if (c == '\r' || c == '\n') {
            next_page(reply, 1);
        } else {
            end_pages(reply);
        }
        return true;
    }

    bool confirm(char c, IosReply& reply) {
        const bool yes = c == '\r' || c == '\n' || c == 'y' || c == 'Y';
        const auto what = std::exchange(asks_, Asks::command);
        reply.echo += "\r\n";
        reply.line_end = true;
        std::string text;
        if (yes && what == Asks::reload) {
            device_.reload();
            closed_ = true;
        } else if (yes) {
            device_.erase_startup();
            text = "[OK]\nErase of nvram: complete\n";
        }
        answer(reply, std::move(text));
        return true;
    }

    bool end_config(IosReply& reply) {
        const auto line = editor_.take();
        reply.echo += "^Z\r\n";
        reply.line_end = true;
        reply.configuring = configuring_;
        std::string text;
        if (configuring_ && asks_ == Asks::command) {
            text = configure(line, prompt().size());
            if (configuring_) {
                leave_config();
            }
        }
        asks_ = Asks::command;
        answer(reply, std::move(text));
        return true;
    }

    std::string check_secret(const std::string& line) {
        ++attempts_;
        const auto right = device_.enables(line);
        if (right.value_or(false)) {
            privileged_ = true;
            asks_ = Asks::command;
            return {};
        }
        if (device_.uses_aaa()) {
            asks_ = Asks::command;
            return "% Access denied\n\n";
        }
        if (attempts_ < password_attempts) {
            question_ = "Password: ";
            return {};
        }
        asks_ = Asks::command;
        return "% Bad secrets\n\n";
    }

    void read_banner(const std::string& line, IosReply& reply) {
        if (!banner_.take(line)) {
            return;
        }
        asks_ = Asks::command;
        device_.finish_banner(banner_);
        device_.note_change(options_.username);
        answer(reply, {});
    }

    std::string configure(const std::string& line, std::size_t indent) {
        if (!options_.reject.empty()) {
            if (const auto at = line.find(options_.reject); at != std::string::npos) {
                return invalid_input(indent + at);
            }
        }
        auto outcome = device_.configure(place_, line, indent);
        place_ = std::move(outcome.place);
        if (outcome.leave) {
            leave_config();
        }
        if (outcome.exec) {
            return run(line, indent, outcome.exec_column);
        }
        if (outcome.banner) {
            banner_ = std::move(*outcome.banner);
            asks_ = Asks::banner;
        } else if (!outcome.rejected && !outcome.leave) {
            changed_ = true;
        }
        return outcome.text;
    }

    void leave_config() {
        configuring_ = false;
        if (std::exchange(changed_, false)) {
            device_.note_change(options_.username);
        }
    }

    [[nodiscard]] Match match_exec(std::string_view line, std::size_t from = 0) const {
        const auto [command, modifier] = split_modifier(line);
        return exec_grammar(privileged_).match(command, from);
    }

    // A show command and what follows its `|`.
    static std::pair<std::string_view, std::string_view> split_modifier(std::string_view line) {
        const auto bar = line.find('|');
        if (bar == std::string_view::npos) {
            return {line, {}};
        }
        return {line.substr(0, bar), line.substr(bar + 1)};
    }

    std::string run(std::string_view line, std::size_t indent, std::size_t from = 0) {
        const auto first = line.find_first_not_of(' ', from);
        if (first == std::string_view::npos || line[first] == '!') {
            return {};
        }
        const auto match = match_exec(line, from);
        if (!match.ok()) {
            return complaint(match, line.substr(from), indent);
        }
        const auto command = static_cast<Command>(match.rule);
        if (match.words.front() == "show" || command == Command::write_terminal) {
            auto text = show(device_, command, match.words.back(), options_.username, privileged_);
            const auto modifier = split_modifier(line).second;
            if (!modifier.empty() && !filter_output(text, modifier)) {
                return invalid_input(indent + line.find('|') + 2);
            }
            paged_ = std::ranges::count(text, '\n') >= options_.length;
            return text;
        }
        return act(command, match);
    }

    std::string act(Command command, const Match& match) {
        switch (command) {
        case Command::enable:
            if (privileged_) {
                return {};
            }
            if (!device_.enables("")) {
                return "% No password set\n";
            }
            attempts_ = 0;
            asks_ = Asks::secret;
            question_ = "Password: ";
            return {};
        case Command::disable:
            privileged_ = false;
            return {};
        case Command::configure:
            configuring_ = true;
            place_ = {};
            return "Enter configuration commands, one per line.  End with CNTL/Z.\n";
        case Command::quit:
            closed_ = true;
            return {};
        case Command::write:
            return save();
        case Command::copy_running_startup:
            asks_ = Asks::file_name;
            question_ = "Destination filename [startup-config]? ";
            return {};
        case Command::erase_startup:
            asks_ = Asks::erase;
            question_ = "Erasing the nvram filesystem will remove all configuration files! "
                        "Continue? [confirm]";
            return {};
        case Command::reload:
            if (device_.unsaved()) {
                asks_ = Asks::reload_save;
                question_ = "System configuration has been modified. Save? [yes/no]: ";
            } else {
                asks_ = Asks::reload;
                question_ = "Proceed with reload? [confirm]";
            }
            return {};
        case Command::terminal_length:
            options_.length = std::stoi(match.words.back());
            return {};
        case Command::terminal_width:
            options_.width = std::stoi(match.words.back());
            return {};
        case Command::ping:
            return "Type escape sequence to abort.\nSending 5, 100-byte ICMP Echos to " +
                   match.words.back() +
                   ", timeout is 2 seconds:\n!!!!!\nSuccess rate is 100 percent (5/5), round-trip "
                   "min/avg/max = 1/1/1 ms\n";
        default:
            return {};
        }
    }

    std::string save() {
        device_.save();
        return "Building configuration...\n[OK]\n";
    }

    [[nodiscard]] const Grammar& grammar() const {
        return configuring_ ? grammar_of(place_.mode()) : exec_grammar(privileged_);
    }

    bool help(IosReply& reply) {
        if (asks_ == Asks::banner) {
            editor_.append("?");
            reply.echo += "?";
            return false;
        }
        std::string text = "?\n";
        for (const auto& entry : grammar().help(editor_.line())) {
            text += "  " + entry + "\n";
        }
        reply.output += terminal_lines(text + "\n") + prompt() + editor_.line();
        return true;
    }

    void complete(IosReply& reply) {
        const auto choices = grammar().help(editor_.line());
        const auto& line = editor_.line();
        const auto start = line.find_last_of(' ') + 1;
        if (choices.size() == 1 && start < line.size()) {
            const auto rest = choices.front().substr(line.size() - start) + " ";
            editor_.append(rest);
            reply.echo += rest;
        }
    }

    IosState& device_;
    IosSessionOptions options_;
    bool privileged_;
    bool configuring_ = false;
    Place place_; // where, in configuration mode
    bool changed_ = false;
    bool closed_ = false;
    Asks asks_ = Asks::command;
    std::string question_; // shown instead of the prompt
    int attempts_ = 0;
    BannerInput banner_;
    bool paged_ = false; // the answer is long enough for the pager
    std::string pages_;
    LineEditor editor_;
    std::string typed_;
};

IosSession::IosSession(IosDevice& device, IosSessionOptions options)
    : impl_(std::make_unique<Impl>(*device.state_, std::move(options))) {}

IosSession::~IosSession() = default;
IosSession::IosSession(IosSession&&) noexcept = default;
IosSession& IosSession::operator=(IosSession&&) noexcept = default;

std::string IosSession::greeting() { return impl_->greeting(); }

void IosSession::input(std::string_view bytes) { impl_->input(bytes); }

std::optional<IosReply> IosSession::step() { return impl_->step(); }

std::string IosSession::type(std::string_view bytes) {
    input(bytes);
    std::string shown;
    while (auto reply = step()) {
        shown += reply->echo + reply->output;
    }
    return shown;
}

std::string IosSession::exec(std::string_view command) { return impl_->exec(command); }

std::string IosSession::prompt() const { return impl_->prompt(); }

void IosSession::resize(int width, int length) { impl_->resize(width, length); }

bool IosSession::closed() const { return impl_->closed(); }

} // namespace muster::sim
