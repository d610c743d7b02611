#pragma once

#include <muster/core/detail/list.hpp>

#include <boost/asio/execution_context.hpp>

namespace muster::detail {

/// Something with parts of Asio in it that may outlive its loop. Asio's parts may not outlive their
/// io_context, but a connection that is returned from run() does: its parts go then, and what is
/// left is inert.
class LoopResident : private Link {
protected:
    explicit LoopResident(boost::asio::execution_context& context);
    virtual ~LoopResident() = default;

    /// There are no parts of Asio any more. Idempotent.
    void leave() noexcept;

private:
    class Registry;
    friend class List<LoopResident>;

    /// The io_context is being destroyed: the parts of Asio have to go now.
    virtual void context_gone() noexcept = 0;
};

} // namespace muster::detail
