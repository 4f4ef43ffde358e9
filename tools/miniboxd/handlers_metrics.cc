// SPDX-License-Identifier: Apache-2.0
// GET /metrics: Prometheus text (spec §4.5).
#include <map>
#include <string>

#include "handlers.h"
#include "metrics.h"
#include "params.h"
#include "wire/container.h"

namespace miniboxd {
namespace {

using minibox::ContainerInfo;
using minibox::ContainerState;
using minibox::ContainerStats;

constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";

struct Gauge {
  std::string_view name, type, help;
  double (*value)(const ContainerStats&);
};

constexpr Gauge kGauges[] = {
    {"minibox_container_cpu_seconds_total", "counter", "Processor time used.",
     [](const ContainerStats& s) { return static_cast<double>(s.cpu_usage_usec) / 1e6; }},
    {"minibox_container_cpu_throttled_seconds_total", "counter", "Time held back by the limit.",
     [](const ContainerStats& s) { return static_cast<double>(s.cpu_throttled_usec) / 1e6; }},
    {"minibox_container_memory_usage_bytes", "gauge", "Memory used, file pages included.",
     [](const ContainerStats& s) { return static_cast<double>(s.memory_usage); }},
    {"minibox_container_memory_working_set_bytes", "gauge",
     "Memory used without inactive file pages.",
     [](const ContainerStats& s) { return static_cast<double>(s.memory_working_set); }},
    {"minibox_container_memory_limit_bytes", "gauge", "Limit of memory, 0 for none.",
     [](const ContainerStats& s) { return static_cast<double>(s.memory_limit); }},
    {"minibox_container_pids", "gauge", "Processes.",
     [](const ContainerStats& s) { return static_cast<double>(s.pids); }},
    {"minibox_container_network_receive_bytes_total", "counter", "Bytes received.",
     [](const ContainerStats& s) { return static_cast<double>(s.net_input); }},
    {"minibox_container_network_transmit_bytes_total", "counter", "Bytes sent.",
     [](const ContainerStats& s) { return static_cast<double>(s.net_output); }},
    {"minibox_container_io_read_bytes_total", "counter", "Bytes read from block devices.",
     [](const ContainerStats& s) { return static_cast<double>(s.block_input); }},
    {"minibox_container_io_write_bytes_total", "counter", "Bytes written to block devices.",
     [](const ContainerStats& s) { return static_cast<double>(s.block_output); }},
    {"minibox_container_oom_kills_total", "counter", "Processes killed for want of memory.",
     [](const ContainerStats& s) { return static_cast<double>(s.oom_kills); }},
};

void Metrics(Engine& engine, Exchange& exchange) {
  Params params(exchange, minibox::wire::Strictness::kStrict);
  if (!params.Finish()) return;
  const auto containers = engine.runtime.List();
  if (!containers.ok()) return exchange.SendError(containers.status());
  const auto stats = engine.runtime.AllStats();
  if (!stats.ok()) return exchange.SendError(stats.status());

  std::string out;
  std::map<ContainerState, int> by_state;
  for (const ContainerState state : {ContainerState::kCreated, ContainerState::kRunning,
                                     ContainerState::kPaused, ContainerState::kExited}) {
    by_state[state] = 0;
  }
  std::map<minibox::ContainerId, const ContainerInfo*> by_id;
  for (const ContainerInfo& info : *containers) {
    ++by_state[info.state];
    by_id[info.id] = &info;
  }
  constexpr std::string_view kContainers = "minibox_containers";
  BeginMetric(kContainers, "gauge", "Containers by status.", out);
  for (const auto& [state, count] : by_state) {
    AddSample(kContainers, {{"status", std::string(minibox::wire::StateName(state))}}, count, out);
  }
  for (const Gauge& gauge : kGauges) {
    BeginMetric(gauge.name, gauge.type, gauge.help, out);
    for (const ContainerStats& one : *stats) {
      const auto info = by_id.find(one.id);
      AddSample(gauge.name,
                {{"id", one.id.ToString()},
                 {"name", one.name},
                 {"image", info == by_id.end() ? "" : info->second->image}},
                gauge.value(one), out);
    }
  }
  out += engine.requests.Text();
  exchange.Send(200, kPrometheus, out);
}

}  // namespace

std::vector<Route> MetricsRoutes(Engine& engine) {
  return {{"GET", "/metrics", Bind(engine, Metrics)}};
}

}  // namespace miniboxd
