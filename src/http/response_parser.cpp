#include "response_parser.hpp"

#include "text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <utility>

namespace muster::http::detail {

namespace asio = boost::asio;
namespace beast = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::uint32_t max_header = 64 * 1024;
constexpr unsigned switching_protocols = 101;
constexpr unsigned first_final = 200;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

} // namespace

class ResponseParser::Impl {
public:
    Impl(bool head, std::size_t max_body) : head_(head), max_body_(max_body) { restart(); }

    void feed(std::string_view bytes) {
        started = started || !bytes.empty();
        pending_.append(bytes);
        while (!pending_.empty() && !trouble && !complete()) {
            if (!parser_->got_some() && !begins_well()) {
                return;
            }
            error_code error;
            const std::size_t used = parser_->put(asio::buffer(pending_), error);
            pending_.erase(0, used);
            if (error && error != beast::error::need_more) {
                fail(error);
            } else if (parser_->is_done() && interim()) {
                restart(); // "100 Continue" and its like: the response itself follows
            } else if (used == 0 || error == beast::error::need_more) {
                return;
            }
        }
    }

    void end_of_stream() {
        if (parser_->is_header_done() && !parser_->is_done()) {
            error_code error; // that something is missing, the caller sees
            parser_->put_eof(error);
        }
    }

    [[nodiscard]] bool header_done() const { return parser_->is_header_done() && !interim(); }

    [[nodiscard]] bool complete() const { return parser_->is_done() && !interim(); }

    [[nodiscard]] bool keep_alive() const {
        return complete() && pending_.empty() && parser_->keep_alive() &&
               parser_->get().result_int() != switching_protocols;
    }

    [[nodiscard]] std::size_t body_size() const { return parser_->get().body().size(); }

    Response take() {
        auto message = parser_->release();
        Response response;
        response.status = static_cast<int>(message.result_int());
        response.reason = view(message.reason());
        for (const auto& field : message) {
            response.headers.add(view(field.name_string()), view(field.value()));
        }
        response.body = std::move(message.body());
        return response;
    }

    bool started = false;
    std::optional<Trouble> trouble;

private:
    [[nodiscard]] bool interim() const {
        const unsigned status = parser_->get().result_int();
        return status < first_final && status != switching_protocols;
    }

    /// Looks at the beginning of a status line. False: more is needed, or there is trouble.
    bool begins_well() {
        constexpr std::string_view version = "HTTP/1.";
        constexpr std::size_t shortest = sizeof "HTTP/1.1 200\r" - 1;
        if (!pending_.starts_with(version.substr(0, pending_.size()))) {
            not_http("bad version"); // at once: who does not speak HTTP may be waiting for us
            return false;
        }
        if (pending_.size() < shortest) {
            return false;
        }
        // RFC 9112 wants a space there, even where no reason follows; some servers do not know.
        if (pending_[shortest - 1] == '\r') {
            pending_.insert(shortest - 1, 1, ' ');
        }
        return true;
    }

    void not_http(const std::string& why) {
        trouble.emplace();
        trouble->reason = "this is not HTTP (" + why + "): \"" +
                          printable(pending_.substr(0, pending_.find_first_of("\r\n"))) + "\"";
        trouble->remedy = pending_.starts_with("\x15\x03")
                              ? "the server speaks TLS on this port: use https://"
                              : "is there a web server on this port?";
    }

    void restart() {
        parser_.emplace();
        parser_->eager(true);
        parser_->skip(head_);
        parser_->header_limit(max_header);
        parser_->body_limit(max_body_);
    }

    void fail(const error_code& error) {
        const bool too_large =
            error == beast::error::body_limit || error == beast::error::header_limit;
        if (!too_large && !parser_->is_header_done()) {
            not_http(error.message());
            return;
        }
        trouble.emplace();
        trouble->kind = too_large ? ErrorKind::too_large : ErrorKind::protocol;
        if (error == beast::error::body_limit) {
            trouble->reason =
                "the body is larger than the limit of " + std::to_string(max_body_) + " bytes";
            trouble->remedy = "raise max_body";
        } else if (too_large) {
            trouble->reason = "the header is larger than " + std::to_string(max_header) + " bytes";
        } else {
            trouble->reason = "the body is not HTTP: " + error.message();
        }
    }

    std::optional<beast::response_parser<beast::string_body>> parser_;
    std::string pending_; // not yet understood
    bool head_;
    std::size_t max_body_;
};

ResponseParser::ResponseParser(bool head, std::size_t max_body)
    : impl_(std::make_unique<Impl>(head, max_body)) {}

ResponseParser::~ResponseParser() = default;

void ResponseParser::feed(std::string_view bytes) { impl_->feed(bytes); }

void ResponseParser::end_of_stream() { impl_->end_of_stream(); }

bool ResponseParser::started() const noexcept { return impl_->started; }

bool ResponseParser::header_done() const noexcept { return impl_->header_done(); }

bool ResponseParser::complete() const noexcept { return impl_->complete(); }

const std::optional<Trouble>& ResponseParser::trouble() const noexcept { return impl_->trouble; }

bool ResponseParser::keep_alive() const noexcept { return impl_->keep_alive(); }

std::size_t ResponseParser::body_size() const noexcept { return impl_->body_size(); }

Response ResponseParser::take() { return impl_->take(); }

} // namespace muster::http::detail
