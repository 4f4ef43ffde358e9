// SPDX-License-Identifier: Apache-2.0
// What the daemon counts of itself, and the Prometheus text format.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace miniboxd {

// Thread-safe.
class RequestMetrics {
 public:
  // Upper bounds in seconds.
  static constexpr std::array<double, 8> kBuckets = {0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60};

  void Add(std::string_view method, std::string_view route, int status,
           std::chrono::nanoseconds took);
  // Metrics `minibox_http_requests_total` and `minibox_http_request_duration_seconds`.
  std::string Text() const;

 private:
  struct Key {
    std::string method, route;
    int status;
    auto operator<=>(const Key&) const = default;
  };
  struct Count {
    uint64_t total = 0;
    double seconds = 0;
    std::array<uint64_t, kBuckets.size()> at_most{};
  };
  mutable std::mutex mutex_;
  std::map<Key, Count> counts_;
};

using MetricLabels = std::vector<std::pair<std::string_view, std::string>>;

// Appends "# HELP" and "# TYPE".
void BeginMetric(std::string_view name, std::string_view type, std::string_view help,
                 std::string& out);
// Appends one sample.
void AddSample(std::string_view name, const MetricLabels& labels, double value, std::string& out);

}  // namespace miniboxd
