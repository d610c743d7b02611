#include "harness/bench.hpp"
#include "harness/processor.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

struct Options {
    std::string filter;
    std::string only;
    int runs = 5;
    double scale = 1;
    bool list = false;
    bool in_process = false;
    bool require_allocations = false;
    std::string json;
};

/// Whether `pattern` is the name of `item` or, if it is nobody's, part of it.
template <class T>
bool chosen(const T& item, std::string_view pattern, const std::vector<T>& all) {
    const bool exact =
        std::any_of(all.begin(), all.end(), [=](const T& other) { return other.name == pattern; });
    return exact ? item.name == pattern : item.name.find(pattern) != std::string_view::npos;
}

Sample run_here(const Workload& workload, const Contender& contender, double scale) {
    if (workload.one_cpu) {
        keep_to_one_cpu();
    }
    Meter meter(workload.clock, scale);
    contender.run(meter);
    return meter.sample();
}

/// Runs it in a process of its own.
Sample run_apart(const Workload& workload, const Contender& contender, double scale) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        throw std::runtime_error("no pipe");
    }
    std::cout.flush();
    const pid_t child = ::fork();
    if (child < 0) {
        throw std::runtime_error("no process");
    }
    if (child == 0) {
        ::close(ends[0]);
        try {
            const Sample sample = run_here(workload, contender, scale);
            const bool told = ::write(ends[1], &sample, sizeof sample) == sizeof sample;
            std::_Exit(told ? 0 : 1);
        } catch (const std::exception& error) {
            std::cerr << workload.name << '/' << contender.name << ": " << error.what() << '\n';
        } catch (...) {
            std::cerr << workload.name << '/' << contender.name << ": cancelled\n";
        }
        std::_Exit(1);
    }
    ::close(ends[1]);
    Sample sample;
    const bool told = ::read(ends[0], &sample, sizeof sample) == sizeof sample;
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!told || status != 0) {
        throw std::runtime_error(
            fmt::format("{}/{} has failed, with status {}", workload.name, contender.name, status));
    }
    return sample;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Result {
    Sample median;
    double least = 0; // nanoseconds
    double most = 0;
};

Result summary(const std::vector<Sample>& samples) {
    const auto figures = [&](double Sample::* figure) {
        std::vector<double> values;
        for (const Sample& sample : samples) {
            values.push_back(sample.*figure);
        }
        return values;
    };
    const std::vector<double> times = figures(&Sample::nanoseconds);
    return {{median(times), median(figures(&Sample::allocations)), median(figures(&Sample::bytes))},
            *std::min_element(times.begin(), times.end()),
            *std::max_element(times.begin(), times.end())};
}

double of(const Sample& sample, Figure figure) {
    switch (figure) {
    case Figure::nanoseconds:
        return sample.nanoseconds;
    case Figure::bytes:
        return sample.bytes;
    default:
        return sample.allocations;
    }
}

std::string_view unit(Figure figure) {
    switch (figure) {
    case Figure::nanoseconds:
        return "ns";
    case Figure::bytes:
        return "B";
    default:
        return "allocations";
    }
}

/// Prints how `results` stand to the workload's targets. Whether those of allocations, which are
/// the same at every run, are reached.
bool judge(const Workload& workload, const std::map<std::string_view, Result>& results) {
    const Contender& first = workload.contenders.front();
    if (!results.contains(first.name)) {
        return true;
    }
    bool reached_allocations = true;
    for (const Target& target : workload.targets) {
        const double got = of(results.at(first.name).median, target.figure);
        if (!target.beyond.empty()) {
            if (results.contains(target.beyond)) {
                const double more = got - of(results.at(target.beyond).median, target.figure);
                fmt::print("  {:<8} {:+.4g} {} to {} (at most {:+g})\n",
                           more <= target.most ? "reached" : "MISSED", more, unit(target.figure),
                           target.beyond, target.most);
            }
        } else if (target.of.empty()) {
            reached_allocations &= target.figure != Figure::allocations || got <= target.most;
            fmt::print("  {:<8} {:.4g} {} (at most {:g})\n",
                       got <= target.most ? "reached" : "MISSED", got, unit(target.figure),
                       target.most);
        } else if (results.contains(target.of)) {
            const double ratio = got / of(results.at(target.of).median, target.figure);
            fmt::print("  {:<8} {:.3f} x the {} of {} (at most {:g})\n",
                       ratio <= target.most ? "reached" : "MISSED", ratio, unit(target.figure),
                       target.of, target.most);
        }
    }
    return reached_allocations;
}

nlohmann::json as_json(const Workload& workload,
                       const std::map<std::string_view, Result>& results) {
    nlohmann::json contenders = nlohmann::json::object();
    for (const auto& [name, result] : results) {
        contenders[std::string(name)] = {{"ns", result.median.nanoseconds},
                                         {"ns_least", result.least},
                                         {"ns_most", result.most},
                                         {"allocations", result.median.allocations},
                                         {"bytes", result.median.bytes}};
    }
    return {{"workload", workload.name}, {"unit", workload.unit}, {"contenders", contenders}};
}

struct Comparison {
    nlohmann::json figures;
    bool reached_allocations = true;
    bool any = false;
};

Comparison compare(const Workload& workload, const Options& options) {
    fmt::print("\n{}: {}\n", workload.name, workload.description);
    std::map<std::string_view, std::vector<Sample>> samples;
    for (int run = 0; run < options.runs; ++run) {
        for (const Contender& contender : workload.contenders) {
            if (chosen(contender, options.only, workload.contenders)) {
                samples[contender.name].push_back(
                    options.in_process ? run_here(workload, contender, options.scale)
                                       : run_apart(workload, contender, options.scale));
            }
        }
    }
    std::map<std::string_view, Result> results;
    for (const auto& [name, list] : samples) {
        results[name] = summary(list);
    }
    fmt::print("  {:<22} {:>10} {:>19} {:>8} {:>11} {:>9}\n", "per " + std::string(workload.unit),
               "ns", "(least-most)", "ratio", "allocations", "bytes");
    for (const Contender& contender : workload.contenders) {
        const auto found = results.find(contender.name);
        if (found == results.end()) {
            continue;
        }
        const Result& result = found->second;
        const auto first = results.find(workload.contenders.front().name);
        const std::string ratio = first == results.end()
                                      ? std::string("-")
                                      : fmt::format("{:.2f}", result.median.nanoseconds /
                                                                  first->second.median.nanoseconds);
        fmt::print("  {:<22} {:>10.4g} {:>19} {:>8} {:>11.3g} {:>9.4g}\n", contender.name,
                   result.median.nanoseconds,
                   fmt::format("{:.4g}-{:.4g}", result.least, result.most), ratio,
                   result.median.allocations, result.median.bytes);
    }
    const bool reached_allocations = judge(workload, results);
    return {as_json(workload, results), reached_allocations, !results.empty()};
}

} // namespace

int run_suite(int argc, char** argv, const std::vector<Workload>& suite) {
    Options options;
    CLI::App app(
        "Compares muster with the same work written on other foundations. Medians; `ratio` "
        "is a contender's time by muster's.");
    app.add_option("workload", options.filter,
                   "Only the workload of this name, or those whose name contains it");
    app.add_option("--only", options.only,
                   "Only the contender of this name, or those whose name contains it");
    app.add_option("--runs", options.runs, "Runs of each contender")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--scale", options.scale,
                   "Share of the full size, such as 0.01 for a quick look")
        ->check(CLI::Range(1e-6, 100.0))
        ->capture_default_str();
    app.add_option("--json", options.json, "Also write the figures to this file");
    app.add_flag(
        "--require-allocations", options.require_allocations,
        "Fail when a target of allocations is missed: these figures are the same each time");
    app.add_flag("--in-process", options.in_process,
                 "Run in this process, for profilers (figures of memory are worth nothing then)");
    app.add_flag("--list", options.list, "Print the workloads and their contenders");
    CLI11_PARSE(app, argc, argv);

    nlohmann::json all = nlohmann::json::array();
    bool any = false;
    bool any_contender = options.list;
    bool reached = true;
    for (const Workload& workload : suite) {
        if (!chosen(workload, options.filter, suite)) {
            continue;
        }
        any = true;
        if (options.list) {
            fmt::print("{}: {}\n", workload.name, workload.description);
            for (const Contender& contender : workload.contenders) {
                fmt::print("    {}\n", contender.name);
            }
            continue;
        }
        try {
            Comparison comparison = compare(workload, options);
            all.push_back(std::move(comparison.figures));
            any_contender |= comparison.any;
            reached &= comparison.reached_allocations;
        } catch (const std::exception& error) {
            std::cerr << error.what() << '\n';
            return 1;
        }
    }
    if (!any) {
        std::cerr << "no workload's name contains '" << options.filter << "'; see --list\n";
        return 2;
    }
    if (!any_contender) {
        std::cerr << "no contender's name contains '" << options.only << "'; see --list\n";
        return 2;
    }
    if (!options.json.empty()) {
        std::ofstream file(options.json);
        file << all.dump(2) << '\n';
        if (!file) {
            std::cerr << "cannot write " << options.json << '\n';
            return 1;
        }
    }
    if (options.require_allocations && !reached) {
        std::cerr << "something allocates memory that should not in its steady state\n";
        return 1;
    }
    return 0;
}

} // namespace bench
