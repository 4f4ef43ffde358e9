// SPDX-License-Identifier: Apache-2.0
#include "render.h"

#include <algorithm>
#include <ctime>

#include "wire/container.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr size_t kCommandWidth = 25;
constexpr size_t kShortDigest = 12;

size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // not a continuation byte
  }));
}

Colour StateColour(ContainerState state) {
  return state == ContainerState::kRunning ? Colour::kGreen : Colour::kRed;
}

std::string Command(const ContainerInfo& info) { return wire::StrJoin(info.command, " "); }

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace

std::string Table::Text(const Terminal& terminal) const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  std::vector<std::vector<std::string>> escaped;
  for (const auto& row : rows_) {
    auto& texts = escaped.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      texts.push_back(wire::EscapeControl(row[i].text));
      widths[i] = std::max(widths[i], Width(texts.back()));
    }
  }
  std::string out;
  for (size_t r = 0; r < rows_.size(); ++r) {
    for (size_t i = 0; i < rows_[r].size(); ++i) {
      const std::string& text = escaped[r][i];
      out += terminal.Paint(rows_[r][i].colour, text);
      const bool last = i + 1 == rows_[r].size();
      if (!last) out.append(widths[i] - Width(text) + gap_, ' ');
    }
    out += "\n";
  }
  return out;
}

std::string SizeText(uint64_t bytes) {
  if (bytes < 1024) return StrCat(bytes, " B");
  static constexpr const char* kUnits[] = {"KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  snprintf(text, sizeof text, "%.2f %s", value, kUnits[unit]);
  return text;
}

std::string TimeText(TimePoint time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

std::string Shortened(std::string_view text, size_t limit) {
  if (Width(text) <= limit) return std::string(text);
  size_t end = 0, kept = 0;
  while (kept < limit - 3) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    ++kept;
  }
  return StrCat(text.substr(0, end), "...");
}

std::pair<std::string, std::string> RepositoryAndTag(std::string_view name) {
  if (name.empty()) return {"<none>", "<none>"};
  if (const size_t at = name.find('@'); at != name.npos) {
    return {std::string(name.substr(0, at)), std::string(name.substr(at + 1))};
  }
  const size_t colon = name.rfind(':');
  if (colon == name.npos || name.find('/', colon) != name.npos) {
    return {std::string(name), "latest"};
  }
  return {std::string(name.substr(0, colon)), std::string(name.substr(colon + 1))};
}

std::string PortsText(const std::vector<PortMapping>& ports) {
  std::vector<PortMapping> sorted = ports;
  std::stable_sort(sorted.begin(), sorted.end(), [](const PortMapping& a, const PortMapping& b) {
    return a.host_port < b.host_port;
  });
  std::vector<std::string> texts;
  for (const PortMapping& port : sorted) {
    const bool v6 = port.host_ip.find(':') != std::string::npos;
    const std::string address = port.host_ip.empty() ? "0.0.0.0" : port.host_ip;
    texts.push_back(StrCat(v6 ? "[" : "", address, v6 ? "]" : "", ":", port.host_port, "->",
                           port.container_port,
                           port.protocol == PortMapping::Protocol::kUdp ? "/udp" : "/tcp"));
  }
  return texts.empty() ? "-" : wire::StrJoin(texts, ", ");
}

std::string ExitText(const ContainerInfo& info) {
  return info.state == ContainerState::kExited && info.exit ? std::to_string(info.exit->code) : "-";
}

std::string ContainerTable(const std::vector<ContainerInfo>& containers, const Terminal& terminal) {
  Table table({"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "HEALTH", "EXIT", "PORTS"});
  for (const ContainerInfo& info : containers) {
    table.Add({info.id.ToString(),
               info.image,
               Shortened(Command(info), kCommandWidth),
               TimeText(info.created),
               {std::string(wire::StateName(info.state)), StateColour(info.state)},
               std::string(HealthName(info.health)),
               ExitText(info),
               PortsText(info.ports)});
  }
  return table.Text(terminal);
}

std::string ContainersJson(const std::vector<ContainerInfo>& containers) {
  wire::JsonWriter writer(2);
  writer.BeginArray();
  for (const ContainerInfo& info : containers) {
    writer.BeginObject();
    writer.Key("id").String(info.id.ToString());
    writer.Key("image").String(info.image);
    writer.Key("command").String(Command(info));
    writer.Key("created").String(wire::FormatTime(info.created));
    writer.Key("status").String(wire::StateName(info.state));
    writer.Key("health").String(HealthName(info.health));
    writer.Key("exit").String(ExitText(info));
    writer.Key("ports").String(PortsText(info.ports));
    writer.Key("name").String(info.name);
    writer.Key("project").String(info.project);
    writer.Key("labels").StringMap(info.labels);
    writer.EndObject();
  }
  writer.EndArray();
  return writer.Take() + "\n";
}

std::string ImageTable(const std::vector<ImageInfo>& images, const Terminal& terminal) {
  Table table({"REPOSITORY", "TAG", "IMAGE ID", "SIZE"});
  for (const ImageInfo& image : images) {
    const auto [repository, tag] = RepositoryAndTag(image.name);
    table.Add({repository, tag, std::string(image.id.hex().substr(0, kShortDigest)),
               SizeText(image.size)});
  }
  return table.Text(terminal);
}

std::string VolumeTable(const std::vector<VolumeInfo>& volumes, const Terminal& terminal) {
  Table table({"NAME", "CREATED", "PATH"});
  for (const VolumeInfo& volume : volumes) {
    table.Add({volume.name, TimeText(volume.created), volume.path});
  }
  return table.Text(terminal);
}

std::string NetworkTable(const std::vector<NetworkInfo>& networks, const Terminal& terminal) {
  Table table({"NAME", "BRIDGE", "SUBNET", "GATEWAY", "CONTAINERS"});
  for (const NetworkInfo& network : networks) {
    table.Add({network.name, OrDash(network.bridge), OrDash(network.subnet),
               OrDash(network.gateway), std::to_string(network.containers.size())});
  }
  return table.Text(terminal);
}

}  // namespace minibox::cli
