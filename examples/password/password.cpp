#include "password.hpp"

#include <muster/core/error.hpp>

#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

namespace programs {

namespace {

muster::Secret ask_on_terminal() {
    const int terminal = STDIN_FILENO;
    if (::isatty(terminal) == 0) {
        throw muster::ValueError("--password-from prompt needs a terminal on standard input; use "
                                 "env:NAME or file:PATH");
    }
    std::cerr << "Password: " << std::flush;
    termios shown{};
    ::tcgetattr(terminal, &shown);
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal, TCSAFLUSH, &hidden);
    std::string text;
    std::getline(std::cin, text);
    ::tcsetattr(terminal, TCSAFLUSH, &shown);
    std::cerr << '\n';
    return text;
}

} // namespace

muster::Secret read_password(const std::string& source) {
    if (source.empty()) {
        return {};
    }
    if (source == "prompt") {
        return ask_on_terminal();
    }
    if (source.starts_with("env:")) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet, and nobody writes it
        const char* value = std::getenv(source.c_str() + 4);
        if (value == nullptr) {
            throw muster::ValueError("--password-from: the environment has no " + source.substr(4));
        }
        return value;
    }
    if (source.starts_with("file:")) {
        std::ifstream file(source.substr(5));
        std::string line;
        if (!std::getline(file, line)) {
            throw muster::ValueError("--password-from: " + source.substr(5) +
                                     " cannot be read, or is empty");
        }
        return line;
    }
    throw muster::ValueError("--password-from takes env:NAME, file:PATH or prompt");
}

} // namespace programs
