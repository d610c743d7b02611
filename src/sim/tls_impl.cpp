// Asio's TLS is compiled once for this library, as Asio itself is for all of them.
#include <boost/asio/ssl/impl/src.hpp>
