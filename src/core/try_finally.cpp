#include <muster/core/event_loop.hpp>
#include <muster/core/try_finally.hpp>

namespace muster::detail {

void report_cleanup_error(std::exception_ptr error) noexcept {
    ExceptionContext context;
    context.message = "try_finally: the clean-up failed, too, after the error that is thrown";
    context.exception = std::move(error);
    LoopCore::current()->report(context);
}

} // namespace muster::detail
