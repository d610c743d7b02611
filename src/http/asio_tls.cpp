// The one place where the function bodies of Asio's TLS are compiled.
#include <boost/asio/ssl/impl/src.hpp>
