// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <iostream>

#include "commands.h"
#include "format.h"
#include "local_engine.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

constexpr std::string_view kDefaultHost = "http://127.0.0.1:8080";

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : std::string(wire::TrimSpace(value));
}

// `text` of `199 minibox "text"`.
std::string WarningText(std::string_view header) {
  const size_t open = header.find('"'), close = header.rfind('"');
  if (open == header.npos || close <= open) return std::string(header);
  std::string text;
  for (size_t i = open + 1; i < close; ++i) {
    if (header[i] == '\\' && i + 1 < close) ++i;
    text += header[i];
  }
  return text;
}

// What a command exits with after this error.
int ExitCode(const Reply& reply) {
  const auto code = wire::ParseInt64(reply.Header("X-Minibox-Exit-Code").value_or(""));
  return code ? static_cast<int>(*code) : kEngineFailure;
}

void AddFormatOption(CLI::App& command, std::string* format) {
  command.add_option("--format", *format, "table (default), json, or a template: '{{.Name}}'")
      ->check([](const std::string& value) -> std::string {
        if (value == "json" || value == "table") return "";
        if (!IsTemplate(value)) return "must be table, json or a template with {{.Field}}";
        return Template::Parse(value).status().message();
      });
}

}  // namespace

Session::Session(Terminal terminal) : terminal_(terminal) {}
Session::~Session() = default;

StatusOr<Client*> Session::Connect() {
  if (!client_) {
    auto client = MakeClient();
    if (!client.ok()) return client.status();
    client_.emplace(std::move(*client));
    if (debug) {
      client_->set_observer([](const std::string& line) { std::cerr << line; });
    }
  }
  return &*client_;
}

StatusOr<Client> Session::MakeClient() {
  if (local) {
    auto engine = LocalEngine::Open({.data_root = data_root, .debug = debug});
    if (!engine.ok()) return engine.status();
    local_engine_ = *std::move(engine);
    return Client::ForHost(local_engine_->url(), local_engine_->token());
  }
  std::string url = host.empty() ? Environment("MINIBOX_API") : host;
  if (url.empty()) url = kDefaultHost;
  return Client::ForHost(url, Environment("MINIBOX_API_TOKEN"));
}

void Session::Close(int status) {
  client_.reset();
  if (local_engine_) local_engine_->Close(status);
}

StatusOr<Reply> Session::Send(const Call& call) {
  const auto client = Connect();
  return client.ok() ? (*client)->Send(call) : StatusOr<Reply>(client.status());
}

std::optional<Reply> Session::Ask(const Call& call) {
  auto reply = Send(call);
  if (!reply.ok()) {
    terminal_.Error(reply.status().message());
    return std::nullopt;
  }
  if (!Accept(*reply, 200)) return std::nullopt;
  return std::move(*reply);
}

std::unique_ptr<StreamConnection> Session::Open(const Call& call, Reply* reply,
                                                std::optional<int> quiet_failure) {
  const auto client = Connect();
  auto upgraded =
      client.ok() ? (*client)->Upgrade(call) : StatusOr<Client::Upgraded>(client.status());
  if (!upgraded.ok()) {
    terminal_.Error(upgraded.status().message());
    return nullptr;
  }
  *reply = std::move(upgraded->reply);
  if (quiet_failure && reply->status != 101 && ExitCode(*reply) == *quiet_failure) {
    start_failure_ = *quiet_failure;
    return nullptr;
  }
  if (!Accept(*reply, 101)) return nullptr;
  return std::move(upgraded->stream);
}

bool Session::Accept(const Reply& reply, int status) {
  for (const auto& [name, value] : reply.headers) {
    if (name == "warning") terminal_.Warning(WarningText(value));
  }
  if (reply.status != status) {
    start_failure_ = ExitCode(reply);
    const std::string text =
        reply.body.empty() ? wire::StrCat("HTTP status ", reply.status) : reply.body;
    terminal_.Error(error_view ? error_view(text) : text);
    return false;
  }
  return true;
}

std::optional<std::string> Session::Fetch(const std::string& path, const Query& query) {
  auto reply = Ask({.path = path, .query = query});
  if (!reply) return std::nullopt;
  return std::move(reply->body);
}

int Session::ForEach(const std::vector<std::string>& names, const std::string& path,
                     const std::function<Query(const std::string&)>& query,
                     std::optional<std::chrono::seconds> patience) {
  int status = kSuccess;
  for (const std::string& name : names) {
    const auto reply =
        Ask({.method = "POST", .path = path, .query = query(name), .patience = patience});
    if (!reply || Print(reply->body) != kSuccess) status = kFailure;
  }
  return status;
}

int Session::Print(std::string_view text) {
  if (Terminal::Print(text)) return kSuccess;
  terminal_.Error("cannot write the output");
  return kFailure;
}

bool Session::Confirm(std::string_view question) {
  if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) return true;
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  const std::string lower = wire::AsciiLower(wire::TrimSpace(answer));
  return lower == "y" || lower == "yes";
}

int Session::PrintRows(std::string_view format, std::string_view json) {
  const auto rows = FormatRows(format, json);
  if (!rows.ok())
    return rows.status().reason() == "usage" ? Usage(rows.status().message()) : Fail(rows.status());
  return Print(*rows);
}

int Session::Usage(std::string_view message) {
  terminal_.Error(message);
  return kUsage;
}

int Session::Fail(const Status& status) {
  terminal_.Error(status.message());
  return kFailure;
}

bool ListFlags::wants_template() const { return IsTemplate(format); }
bool FormatFlags::wants_template() const { return IsTemplate(format); }

void FormatFlags::AddTo(CLI::App& command) {
  AddFormatOption(command, &format);
  command.add_flag("--json", json, "the same as --format json");
}

void ListFlags::AddTo(CLI::App& command) {
  AddFormatOption(command, &format);
  command.add_flag("--json", json, "the same as --format json");
  command.add_flag("-q,--quiet", quiet, "ids only");
  command.add_option("--filter", filters, "key=value, may be repeated")->allow_extra_args(false);
}

StatusOr<Query> ListFlags::FilterQuery() const {
  Query query;
  for (const std::string& filter : filters) {
    const size_t equals = filter.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Status(
          StatusCode::kInvalidArgument,
          wire::StrCat("--filter: '", wire::EscapeControl(filter), "' is not <key>=<value>"));
    }
    query.emplace_back(filter.substr(0, equals), filter.substr(equals + 1));
  }
  return query;
}

}  // namespace minibox::cli
