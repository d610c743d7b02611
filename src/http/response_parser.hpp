#pragma once

#include "trouble.hpp"

#include <muster/http/message.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace muster::http::detail {

/// Makes a Response of the bytes of a connection (RFC 9112). No input and output.
class ResponseParser {
public:
    /// `head`: the request was HEAD, so that no body follows whatever the header says.
    ResponseParser(bool head, std::size_t max_body);
    ~ResponseParser();

    void feed(std::string_view bytes);

    /// The connection has ended in order, which ends a body of no stated length.
    void end_of_stream();

    /// Something has come.
    [[nodiscard]] bool started() const noexcept;
    [[nodiscard]] bool header_done() const noexcept;
    [[nodiscard]] bool complete() const noexcept;

    /// Why this will never be a response.
    [[nodiscard]] const std::optional<Trouble>& trouble() const noexcept;

    /// The server keeps the connection open, and nothing has come behind the response.
    [[nodiscard]] bool keep_alive() const noexcept;

    /// Bytes of the body so far.
    [[nodiscard]] std::size_t body_size() const noexcept;

    /// The response; only when it is complete. Method and URL are the caller's to fill in.
    [[nodiscard]] Response take();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace muster::http::detail
