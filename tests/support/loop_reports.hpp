#pragma once

#include <muster/core/event_loop.hpp>

#include <exception>
#include <string>
#include <vector>

namespace muster::testing_support {

/// Collects what a loop reports to its exception handler. Must live as long as the loop.
class LoopReports {
public:
    explicit LoopReports(EventLoop& loop) {
        loop.set_exception_handler([this](EventLoop&, const ExceptionContext& context) {
            std::string text = context.message;
            if (context.exception) {
                try {
                    std::rethrow_exception(context.exception);
                } catch (const std::exception& error) {
                    text += ": " + std::string(error.what());
                } catch (...) { // recorded, whatever it is
                    text += ": not a std::exception";
                }
            }
            texts_.push_back(std::move(text));
        });
    }

    LoopReports(const LoopReports&) = delete;
    LoopReports& operator=(const LoopReports&) = delete;

    [[nodiscard]] const std::vector<std::string>& texts() const noexcept { return texts_; }

private:
    std::vector<std::string> texts_;
};

} // namespace muster::testing_support
