#include <muster/muster.hpp>
