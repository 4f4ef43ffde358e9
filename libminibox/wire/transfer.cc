// SPDX-License-Identifier: Apache-2.0
#include "wire/transfer.h"

#include <algorithm>
#include <array>

#include "core/base64.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::wire {
namespace {

constexpr size_t kMaxAuthHeader = 16u << 10;
constexpr std::array<std::string_view, 5> kPhases = {"resolving", "transferring", "verifying",
                                                     "unpacking", "done"};

Status InvalidAuth(std::string_view why) {
  return Status(StatusCode::kInvalidArgument, core::StrCat(kRegistryAuthHeader, ": ", why),
                {.reason = "invalid_argument", .field = std::string(kRegistryAuthHeader)});
}

}  // namespace

std::string EncodeRegistryAuth(const Credentials& credentials) {
  json::Writer writer;
  writer.BeginObject();
  const std::pair<const char*, const std::string&> members[] = {
      {"username", credentials.username},
      {"password", credentials.password},
      {"identity_token", credentials.identity_token},
      {"registry_token", credentials.registry_token}};
  for (const auto& [key, value] : members) {
    if (!value.empty()) writer.Key(key).String(value);
  }
  writer.EndObject();
  std::string text = core::Base64Encode(writer.Take());
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

StatusOr<Credentials> ParseRegistryAuth(std::string_view header) {
  header = core::TrimSpace(header);
  if (header.size() > kMaxAuthHeader) return InvalidAuth("is too long");
  const auto text = core::Base64Decode(header);
  if (!text) return InvalidAuth("must be base64url of a JSON object");
  const auto root = json::Parse(*text);
  if (!root.ok() || root->type() != json::Type::kObject) {
    return InvalidAuth("must be base64url of a JSON object");
  }
  Credentials credentials;
  const std::pair<const char*, std::string*> members[] = {
      {"username", &credentials.username},
      {"password", &credentials.password},
      {"identity_token", &credentials.identity_token},
      {"registry_token", &credentials.registry_token}};
  for (const auto& [key, member] : members) {
    auto value = root->GetString(key, "");
    if (!value.ok()) return InvalidAuth(core::StrCat(key, " must be a string"));
    if (value->find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) {
      return InvalidAuth(core::StrCat(key, " must be one line"));
    }
    *member = std::move(*value);
  }
  return credentials;
}

std::string ProgressLine(const Progress& progress) {
  json::Writer writer;
  writer.BeginObject().Key("type").String("progress");
  writer.Key("subject").String(progress.subject);
  writer.Key("phase").String(kPhases[static_cast<size_t>(progress.phase)]);
  writer.Key("done").Uint(progress.done);
  writer.Key("total").Uint(progress.total);
  writer.EndObject();
  return writer.Take() + "\n";
}

StatusOr<StreamLine> ParseStreamLine(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text));
  MBX_ASSIGN_OR_RETURN(const std::string type, root.GetString("type"));
  StreamLine line;
  if (type == "log") {
    MBX_ASSIGN_OR_RETURN(line.text, root.GetString("text"));
    return line;
  }
  if (type == "result") {
    line.type = StreamLine::Type::kResult;
    MBX_ASSIGN_OR_RETURN(const std::string status, root.GetString("status"));
    line.ok = status == "ok";
    MBX_ASSIGN_OR_RETURN(line.text, root.GetString("error", ""));
    return line;
  }
  if (type != "progress") return root.Get("type").Expected("log, progress or result");
  line.type = StreamLine::Type::kProgress;
  MBX_ASSIGN_OR_RETURN(line.progress.subject, root.GetString("subject"));
  MBX_ASSIGN_OR_RETURN(const std::string phase, root.GetString("phase"));
  const auto found = std::find(kPhases.begin(), kPhases.end(), phase);
  if (found == kPhases.end()) return root.Get("phase").Expected("a phase");
  line.progress.phase = static_cast<Progress::Phase>(found - kPhases.begin());
  MBX_ASSIGN_OR_RETURN(line.progress.done, root.Get("done").AsUint());
  MBX_ASSIGN_OR_RETURN(line.progress.total, root.Get("total").AsUint());
  return line;
}

StatusOr<Platform> ParsePlatformText(std::string_view text) {
  const auto parts = core::StrSplit(text, '/');
  const auto is_word = [](std::string_view part) {
    return !part.empty() && part.size() <= 64 &&
           part.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               "._-") == std::string_view::npos;
  };
  if (parts.size() < 2 || parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), is_word)) {
    return Status(StatusCode::kInvalidArgument, "platform: must be os/arch[/variant]",
                  {.reason = "invalid_argument", .field = "platform"});
  }
  Platform platform{.os = std::string(parts[0]), .architecture = std::string(parts[1])};
  if (parts.size() == 3) platform.variant = parts[2];
  return platform;
}

}  // namespace minibox::wire
