#pragma once
/// Everything of the net room: connections, servers, TLS, names, child processes.

#include <muster/net/address.hpp>
#include <muster/net/descriptor_limit.hpp>
#include <muster/net/open_connection.hpp>
#include <muster/net/readiness.hpp>
#include <muster/net/resolver.hpp>
#include <muster/net/server.hpp>
#include <muster/net/stream.hpp>
#include <muster/net/subprocess.hpp>
#include <muster/net/tcp.hpp>
#include <muster/net/tls.hpp>
