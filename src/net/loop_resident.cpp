#include "net/loop_resident.hpp"

namespace muster::detail {

namespace asio = boost::asio;

/// All residents of an io_context: told when it goes.
class LoopResident::Registry : public asio::execution_context::service {
public:
    using key_type = Registry;
    static asio::execution_context::id id;

    explicit Registry(asio::execution_context& context)
        : asio::execution_context::service(context) {}

    List<LoopResident> residents;

private:
    void shutdown() noexcept override {
        while (!residents.empty()) {
            residents.pop_front().context_gone();
        }
    }
};

asio::execution_context::id LoopResident::Registry::id;

LoopResident::LoopResident(asio::execution_context& context) {
    asio::use_service<Registry>(context).residents.push_back(*this);
}

void LoopResident::leave() noexcept { unlink(); }

} // namespace muster::detail
