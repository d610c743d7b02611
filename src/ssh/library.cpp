#include "ssh/library.hpp"

#include "ssh/wire.hpp"

#include <muster/ssh/error.hpp>

#include <openssl/evp.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

namespace muster::ssh::detail {

namespace {

[[noreturn]] void fail(const std::string& reason, const std::string& remedy = {}) {
    Failure failure;
    failure.kind = ErrorKind::configuration;
    failure.reason = reason;
    failure.remedy = remedy;
    throw Error(std::move(failure));
}

constexpr int method_kinds = LIBSSH2_METHOD_LANG_SC + 1;

/// OpenSSL looks algorithms up and loads its configuration on first use, which takes milliseconds:
/// better now than in the middle of the first connection's key exchange.
void warm_up() {
    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), EVP_PKEY_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    EVP_Digest("", 0, digest.data(), &length, EVP_sha256(), nullptr);
    EVP_Digest("", 0, digest.data(), &length, EVP_sha512(), nullptr);
}

SessionOwner& owner_of(void** abstract) { return *static_cast<SessionOwner*>(*abstract); }

void* allocate(std::size_t size, void** abstract) { return owner_of(abstract).allocate(size); }

void release(void* pointer, void** abstract) { owner_of(abstract).release(pointer); }

void* reallocate(void* pointer, std::size_t size, void** abstract) {
    return owner_of(abstract).reallocate(pointer, size);
}

} // namespace

/// In front of each piece of memory: its place in the owner's list, and its size, which libssh2
/// does not tell when it frees.
struct alignas(std::max_align_t) SessionOwner::Block {
    Block* next;
    Block** link; // what points at this block
    std::size_t size;

    [[nodiscard]] void* memory() noexcept { return this + 1; }

    static Block* of(void* memory) noexcept { return static_cast<Block*>(memory) - 1; }
};

void* SessionOwner::allocate(std::size_t size) noexcept {
    // libssh2 believes the lengths that a server names: 24 bytes of it could cost 4 GiB.
    constexpr std::size_t most = 1024UL * 1024;
    if (size > most || !may_allocate(size)) {
        return nullptr;
    }
    auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (block == nullptr) {
        return nullptr;
    }
    *block = Block{first_, &first_, size};
    if (first_ != nullptr) {
        first_->link = &block->next;
    }
    first_ = block;
    ++blocks_;
    return block->memory();
}

void SessionOwner::release(void* pointer) noexcept {
    if (pointer == nullptr) {
        return;
    }
    Block* block = Block::of(pointer);
    before_free({static_cast<const char*>(pointer), block->size});
    *block->link = block->next;
    if (block->next != nullptr) {
        block->next->link = block->link;
    }
    --blocks_;
    ::explicit_bzero(pointer, block->size); // many times as fast as OPENSSL_cleanse
    std::free(block);
}

void* SessionOwner::reallocate(void* pointer, std::size_t size) noexcept {
    void* larger = allocate(size);
    if (larger != nullptr && pointer != nullptr) {
        std::memcpy(larger, pointer, std::min(size, Block::of(pointer)->size));
        release(pointer);
    }
    return larger;
}

bool SessionOwner::holds_false_length(unsigned char kind, std::size_t length) const noexcept {
    constexpr std::size_t before_string = 5;
    for (Block* block = first_; block != nullptr; block = block->next) {
        WireReader message({static_cast<const char*>(block->memory()), block->size});
        if (message.byte() == kind && message.uint32() == length &&
            length + before_string > block->size) {
            return true;
        }
    }
    return false;
}

bool SessionOwner::holds_false_host_key(std::size_t length) const noexcept {
    constexpr unsigned char message_kex_reply = 31; // of Diffie-Hellman and ECDH
    constexpr unsigned char message_kex_group_reply = 33;
    constexpr std::size_t public_key_size = 32;
    for (Block* block = first_; block != nullptr; block = block->next) {
        WireReader message({static_cast<const char*>(block->memory()), block->size});
        const unsigned char kind = message.byte();
        if (kind != message_kex_reply && kind != message_kex_group_reply) {
            continue;
        }
        const std::string_view key = message.string();
        if (!message.ok() || key.size() != length) {
            continue;
        }
        WireReader fields(key);
        if (fields.string() == "ssh-ed25519" &&
            (fields.string().size() != public_key_size || !fields.rest().empty())) {
            return true;
        }
    }
    return false;
}

SessionOwner::~SessionOwner() {
    while (first_ != nullptr) {
        Block* block = std::exchange(first_, first_->next);
        ::explicit_bzero(block->memory(), block->size);
        std::free(block);
    }
}

void initialise_library() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (libssh2_version(0x010a00) == nullptr) {
            fail("libssh2 " + library_version() + " is too old", "libssh2 1.10 or newer is needed");
        }
        if (const int code = libssh2_init(0); code != 0) {
            fail("libssh2 cannot be initialised: error " + std::to_string(code));
        }
        warm_up();
    });
}

int idle_descriptor() {
    static const int descriptor = [] {
        const int fd = ::open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
            fail("cannot open /dev/null: " + std::generic_category().message(errno));
        }
        return fd;
    }();
    return descriptor;
}

const std::string& library_version() {
    static const std::string version = libssh2_version(0);
    return version;
}

LIBSSH2_SESSION* new_session(SessionOwner& owner) {
    initialise_library();
    LIBSSH2_SESSION* session = libssh2_session_init_ex(allocate, release, reallocate, &owner);
    if (session == nullptr) {
        throw std::bad_alloc();
    }
    libssh2_session_set_blocking(session, 0);
    return session;
}

const std::vector<std::string_view>& supported_algorithms(int kind) {
    static const std::array<std::vector<std::string_view>, method_kinds> lists = [] {
        initialise_library();
        const std::unique_ptr<LIBSSH2_SESSION, int (*)(LIBSSH2_SESSION*)> session(
            libssh2_session_init(), libssh2_session_free);
        if (!session) {
            throw std::bad_alloc();
        }
        std::array<std::vector<std::string_view>, method_kinds> all;
        for (int i = 0; i < method_kinds; ++i) {
            const char** names = nullptr;
            const int count = libssh2_session_supported_algs(session.get(), i, &names);
            if (count > 0) {
                all[static_cast<std::size_t>(i)].assign(names, names + count);
                libssh2_free(session.get(), static_cast<void*>(names));
            }
        }
        return all;
    }();
    return lists.at(static_cast<std::size_t>(kind));
}

} // namespace muster::ssh::detail
