#include "ssh/fleet.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <memory>
#include <stdexcept>

namespace bench {

namespace {

constexpr unsigned most_seconds = 300;
constexpr std::size_t key_size = 32;

std::string base64(const std::string& bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

std::string from_base64(const std::string& text) {
    std::string bytes(text.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    const auto padding = text.size() - 1 - text.find_last_not_of('=');
    bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size) - padding);
    return bytes;
}

std::string with_length(const std::string& text) {
    const auto size = text.size();
    return std::string{'\0', '\0', static_cast<char>(size >> 8U), static_cast<char>(size)} + text;
}

UserKey make_key() {
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
    const std::unique_ptr<BIO, int (*)(BIO*)> memory(BIO_new(BIO_s_mem()), BIO_free);
    UserKey made;
    std::string bytes(key_size, '\0');
    std::size_t size = bytes.size();
    auto* out = reinterpret_cast<unsigned char*>(bytes.data());
    if (!key || !memory ||
        PEM_write_bio_PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
            1 ||
        EVP_PKEY_get_raw_private_key(key.get(), out, &size) != 1) {
        throw std::runtime_error("no key can be made");
    }
    made.raw = bytes;
    char* text = nullptr;
    const long text_size = BIO_get_mem_data(memory.get(), &text);
    made.pem.assign(text, static_cast<std::size_t>(text_size));
    EVP_PKEY_get_raw_public_key(key.get(), out, &size);
    made.blob = with_length("ssh-ed25519") + with_length(bytes);
    made.public_line = "ssh-ed25519 " + base64(made.blob);
    return made;
}

std::filesystem::path make_folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "muster-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("no temporary folder can be made");
    }
    return pattern;
}

} // namespace

const UserKey& user_key() {
    static const UserKey key = make_key();
    return key;
}

Fleet::Fleet(std::size_t devices, std::size_t slow) : folder_(make_folder()) {
    ::alarm(most_seconds); // whatever hangs
    try {
        const int key = ::open(key_file().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        const std::string& pem = user_key().pem;
        if (::write(key, pem.data(), pem.size()) != static_cast<ssize_t>(pem.size())) {
            throw std::runtime_error("cannot write " + key_file());
        }
        ::close(key);
        start(devices, slow);
        read_devices();
    } catch (...) {
        stop();
        throw;
    }
}

Fleet::~Fleet() { stop(); }

void Fleet::start(std::size_t devices, std::size_t slow) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error("no pipe");
    }
    std::vector<std::string> words{
        MUSTER_BENCH_FLEET, "--devices",          std::to_string(devices),
        "--slow",           std::to_string(slow), "--known-hosts",
        known_hosts(),      "--authorized-key",   user_key().public_line};
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    const int failed =
        ::posix_spawn(&process_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    input_ = to[1];
    std::array<char, 16> answer{};
    const ssize_t answered = failed == 0 ? ::read(from[0], answer.data(), answer.size()) : 0;
    ::close(from[0]);
    if (answered <= 0) {
        throw std::runtime_error("the virtual fleet has not started");
    }
}

void Fleet::read_devices() {
    std::ifstream file(known_hosts());
    std::string host;
    std::string type;
    std::string key;
    while (file >> host >> type >> key) {
        const auto bracket = host.find("]:"); // "[127.1.0.1]:40022"
        devices_.push_back({host.substr(1, bracket - 1),
                            static_cast<std::uint16_t>(std::stoi(host.substr(bracket + 2))),
                            from_base64(key)});
    }
    if (devices_.empty()) {
        throw std::runtime_error("the virtual fleet has no devices");
    }
}

void Fleet::stop() noexcept {
    if (input_ >= 0) {
        ::close(input_);
    }
    if (process_ > 0) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    ::alarm(0);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

} // namespace bench
