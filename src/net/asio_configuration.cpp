#include <muster/asio.hpp>

namespace muster::detail {

template <unsigned Configuration, unsigned Version>
void asio_configuration_agrees() {}

template void asio_configuration_agrees<asio_configuration, BOOST_ASIO_VERSION>();

} // namespace muster::detail
