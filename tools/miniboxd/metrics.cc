// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <cmath>
#include <cstdio>

namespace miniboxd {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Number(double value) {
  char text[32];
  if (std::floor(value) == value && std::fabs(value) < 1e15) {
    snprintf(text, sizeof text, "%.0f", value);
  } else {
    snprintf(text, sizeof text, "%.9g", value);
  }
  return text;
}

}  // namespace

void BeginMetric(std::string_view name, std::string_view type, std::string_view help,
                 std::string& out) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n");
  out.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void AddSample(std::string_view name, const MetricLabels& labels, double value, std::string& out) {
  out += name;
  for (size_t i = 0; i < labels.size(); ++i) {
    out.append(i == 0 ? "{" : ",").append(labels[i].first).append("=\"");
    out.append(Escaped(labels[i].second)).append("\"");
  }
  if (!labels.empty()) out += "}";
  out.append(" ").append(Number(value)).append("\n");
}

void RequestMetrics::Add(std::string_view method, std::string_view route, int status,
                         std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  const std::lock_guard lock(mutex_);
  Count& count = counts_[{std::string(method), std::string(route), status}];
  ++count.total;
  count.seconds += seconds;
  for (size_t i = 0; i < kBuckets.size(); ++i) {
    if (seconds <= kBuckets[i]) ++count.at_most[i];
  }
}

std::string RequestMetrics::Text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  constexpr std::string_view kTotal = "minibox_http_requests_total";
  BeginMetric(kTotal, "counter", "Requests answered, by route and status.", out);
  for (const auto& [key, count] : counts_) {
    AddSample(kTotal,
              {{"method", key.method}, {"route", key.route}, {"code", std::to_string(key.status)}},
              static_cast<double>(count.total), out);
  }
  const std::string name = "minibox_http_request_duration_seconds";
  BeginMetric(name, "histogram", "Time until the answer was complete.", out);
  for (const auto& [key, count] : counts_) {
    MetricLabels labels = {
        {"method", key.method}, {"route", key.route}, {"code", std::to_string(key.status)}};
    MetricLabels bounded = labels;
    bounded.emplace_back("le", "");
    for (size_t i = 0; i < kBuckets.size(); ++i) {
      bounded.back().second = Number(kBuckets[i]);
      AddSample(name + "_bucket", bounded, static_cast<double>(count.at_most[i]), out);
    }
    bounded.back().second = "+Inf";
    AddSample(name + "_bucket", bounded, static_cast<double>(count.total), out);
    AddSample(name + "_sum", labels, count.seconds, out);
    AddSample(name + "_count", labels, static_cast<double>(count.total), out);
  }
  return out;
}

}  // namespace miniboxd
