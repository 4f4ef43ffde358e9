// SPDX-License-Identifier: Apache-2.0
// The commands (spec §15.3), by what they are about. Each Add function defines subcommands whose
// callbacks set what is to be done; nothing runs while the command line is being parsed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client.h"
#include "minibox/status.h"
#include "terminal.h"

namespace CLI {
class App;
}

namespace minibox::cli {

inline constexpr int kSuccess = 0, kFailure = 1, kUsage = 2;
// Of commands that exit with the container's status: the engine failed.
inline constexpr int kEngineFailure = 125;
inline constexpr int kCommandNotFound = 127;  // not in the container

class LocalEngine;

class Session {
 public:
  explicit Session(Terminal terminal);
  ~Session();

  Terminal& terminal() { return terminal_; }
  std::string host{};             // --host
  bool local = false;             // --local
  std::string data_root{};        // --data-root
  bool debug = false;             // --debug
  std::function<int()> action{};  // what the chosen command does
  // How the text of an error answer is shown, if not as it is.
  std::function<std::string(std::string_view)> error_view{};

  // With --host, MINIBOX_API and MINIBOX_API_TOKEN, or to an engine of our own with --local.
  StatusOr<Client*> Connect();
  // Before the process ends with `status`: lets go of the engine of our own.
  void Close(int status);
  // Connects with --host, MINIBOX_API and MINIBOX_API_TOKEN, and sends. An error of the connection
  // or the daemon has been shown then; warnings are shown in any case.
  std::optional<Reply> Ask(const Call& call);
  // The same for a stream; null if there is none.
  // Nothing is shown of an error with the exit status `quiet_failure`.
  std::unique_ptr<StreamConnection> Open(const Call& call, Reply* reply,
                                         std::optional<int> quiet_failure = std::nullopt);
  // The same with nothing shown, whatever comes.
  StatusOr<Reply> Send(const Call& call);
  // The same for a call whose body is JSON or text that is wanted whole.
  std::optional<std::string> Fetch(const std::string& path, const Query& query = {});
  // POSTs and prints the daemon's text, one call per name; exit 1 if any failed.
  int ForEach(const std::vector<std::string>& names, const std::string& path,
              const std::function<Query(const std::string&)>& query,
              std::optional<std::chrono::seconds> patience = std::chrono::seconds(60));
  // Asks on a terminal; yes where there is none to ask.
  bool Confirm(std::string_view question);
  // Prints on stdout; exit 1 if that is not possible.
  int Print(std::string_view text);
  // The rows of `json` by the template of --format.
  int PrintRows(std::string_view format, std::string_view json);
  int Usage(std::string_view message);
  int Fail(const Status& status);
  // The exit status of the last answer that was an error (X-Minibox-Exit-Code), else 125.
  int start_failure() const { return start_failure_; }

 private:
  // Shows warnings and, unless it has that status, the error.
  bool Accept(const Reply& reply, int status);
  StatusOr<Client> MakeClient();

  Terminal terminal_;
  std::unique_ptr<LocalEngine> local_engine_;  // before the client, which is gone first
  std::optional<Client> client_;
  int start_failure_ = kEngineFailure;
};

// The flags --format, --json, -q, --filter of lists.
struct ListFlags {
  std::string format{};
  bool json = false, quiet = false;
  std::vector<std::string> filters{};

  void AddTo(CLI::App& command);
  bool wants_json() const { return json || format == "json"; }
  bool wants_template() const;
  // The filters as a query; an error is wrong usage.
  StatusOr<Query> FilterQuery() const;
};

// --format and --json of a command that prints one object or list without filters.
struct FormatFlags {
  std::string format{};
  bool json = false;

  void AddTo(CLI::App& command);
  bool wants_json() const { return json || format == "json"; }
  bool wants_template() const;
};

// What `top` and `events` show, for other commands too; exit status. `call`: its query.
int ShowTop(Session& session, const std::string& id, bool as_json);
int ShowEvents(Session& session, Call call, bool as_json = false, bool ids_only = false);

void AddChangeCommands(CLI::App& app, Session& session);
void AddBuildCommand(CLI::App& app, Session& session);
void AddComposeCommands(CLI::App& app, Session& session);
void AddContainerCommands(CLI::App& app, Session& session);
void AddCopyCommand(CLI::App& app, Session& session);
void AddDatabaseCommands(CLI::App& app, Session& session);
void AddExecCommands(CLI::App& app, Session& session);
void AddEventCommands(CLI::App& app, Session& session);
void AddImageArchiveCommands(CLI::App& app, Session& session);
void AddImageCommands(CLI::App& app, Session& session);
void AddLifecycleCommands(CLI::App& app, Session& session);
void AddInspectCommands(CLI::App& app, Session& session);
void AddNetworkCommands(CLI::App& app, Session& session);
void AddObserveCommands(CLI::App& app, Session& session);
void AddRegistryCommands(CLI::App& app, Session& session);
void AddRunCommands(CLI::App& app, Session& session);
void AddShellCommands(CLI::App& app, Session& session);
void AddStoreCommands(CLI::App& app, Session& session);
void AddSystemCommands(CLI::App& app, Session& session);
void AddVolumeCommands(CLI::App& app, Session& session);

}  // namespace minibox::cli
