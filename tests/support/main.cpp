#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "failures.hpp"

#include <doctest/doctest.h>

#include <atomic>

namespace {

std::atomic<unsigned> failures = 0;

// Listens to doctest.
struct Failures : doctest::IReporter {
    explicit Failures(const doctest::ContextOptions&) {}

    void report_query(const doctest::QueryData&) override {}

    void test_run_start() override {}

    void test_run_end(const doctest::TestRunStats&) override {}

    void test_case_start(const doctest::TestCaseData&) override {}

    void test_case_reenter(const doctest::TestCaseData&) override {}

    void test_case_end(const doctest::CurrentTestCaseStats&) override {}

    void test_case_exception(const doctest::TestCaseException&) override {}

    void subcase_start(const doctest::SubcaseSignature&) override {}

    void subcase_end() override {}

    void test_case_skipped(const doctest::TestCaseData&) override {}

    void log_assert(const doctest::AssertData& check) override {
        if (check.m_failed && (check.m_at & doctest::assertType::is_warn) == 0) {
            ++failures;
        }
    }

    void log_message(const doctest::MessageData& message) override {
        if ((message.m_severity & doctest::assertType::is_warn) == 0) {
            ++failures;
        }
    }
};

REGISTER_LISTENER("failures", 1, Failures);

} // namespace

unsigned muster::testing_support::failed_checks() noexcept { return failures; }
