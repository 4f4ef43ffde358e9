// SPDX-License-Identifier: Apache-2.0
#include "compose_output.h"

#include <algorithm>
#include <iterator>

#include "render.h"
#include "wire/container.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::EscapeControl;
using wire::StrCat;

constexpr Colour kColours[] = {Colour::kCyan,   Colour::kYellow, Colour::kGreen,
                               Colour::kPurple, Colour::kBlue,   Colour::kRed};

}  // namespace

void ShowComposeEvent(Session& session, const ComposeEvent& event) {
  using Kind = ComposeEvent::Kind;
  const Terminal& terminal = session.terminal();
  const std::string service = StrCat("Service ", EscapeControl(event.service));
  const std::string text = EscapeControl(event.text);
  const auto result = [](const std::string& line) { (void)Terminal::Print(line + "\n"); };
  switch (event.kind) {
    case Kind::kBuilding:
    case Kind::kPulling:
      terminal.Info(StrCat(EscapeControl(event.service), ": ", text));
      break;
    case Kind::kCreated:
      terminal.Info(StrCat(service, " created: ", event.id));
      break;
    case Kind::kStarted:
      result(StrCat(service, " started: ", event.id));
      break;
    case Kind::kUnchanged:
      result(StrCat(service, " is up to date: ", event.id));
      break;
    case Kind::kWaiting:
      terminal.Info(StrCat(service, " waits for ", text));
      break;
    case Kind::kStopped:
      result(StrCat(service, " stopped: ", event.id));
      break;
    case Kind::kRemoved:
      result(StrCat(service, " removed: ", event.id));
      break;
    case Kind::kNetworkCreated:
      terminal.Info(StrCat("Network ", text, " created"));
      break;
    case Kind::kNetworkRemoved:
      result(StrCat("Network ", text, " removed"));
      break;
    case Kind::kVolumeCreated:
      terminal.Info(StrCat("Volume ", text, " created"));
      break;
    case Kind::kVolumeRemoved:
      result(StrCat("Volume ", text, " removed"));
      break;
    case Kind::kWarning:
      terminal.Warning(event.service.empty() ? text : StrCat(service, ": ", text));
      break;
    case Kind::kFailed:
      terminal.Warning(StrCat(service, " failed: ", text));
      break;
  }
}

std::string ComposeLogView::Text(const ComposeLogLine& line) {
  auto at = std::find(services_.begin(), services_.end(), line.service);
  if (at == services_.end()) at = services_.insert(at, std::string(line.service));
  const auto index = static_cast<size_t>(at - services_.begin());
  const Colour colour = kColours[index % std::size(kColours)];
  return StrCat(terminal_.Paint(colour, StrCat(EscapeControl(line.service), " | ")),
                timestamps_ ? StrCat(line.time, " ") : std::string(), line.text, "\n");
}

std::string ComposeTable(const std::vector<ServiceStatus>& services, const Terminal& terminal) {
  Table table({"SERVICE", "CONTAINER ID", "IMAGE", "STATUS", "HEALTH", "EXIT", "PORTS"});
  for (const auto& [service, info] : services) {
    const bool runs = info.state == ContainerState::kRunning;
    table.Add({service,
               info.id.ToString(),
               info.image,
               {std::string(wire::StateName(info.state)), runs ? Colour::kGreen : Colour::kRed},
               std::string(HealthName(info.health)),
               ExitText(info),
               PortsText(info.ports)});
  }
  return table.Text(terminal);
}

std::string ComposeJson(const std::vector<ServiceStatus>& services) {
  json::Writer writer;
  writer.BeginArray();
  for (const auto& [service, info] : services) {
    writer.BeginObject();
    writer.Key("service").String(service);
    writer.Key("id").String(info.id.ToString());
    writer.Key("name").String(info.name);
    writer.Key("image").String(info.image);
    writer.Key("status").String(wire::StateName(info.state));
    writer.Key("health").String(HealthName(info.health));
    writer.Key("exit").String(ExitText(info));
    writer.Key("ports").String(PortsText(info.ports));
    writer.EndObject();
  }
  writer.EndArray();
  const auto text = wire::Indented(writer.Take());
  return text.ok() ? *text : "";  // it was made here
}

}  // namespace minibox::cli
