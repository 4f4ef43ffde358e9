// SPDX-License-Identifier: Apache-2.0
#include "init/exec.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/failing.h"

namespace minibox::init {
namespace {

int TryExec(const char* path, const char* const* argv, const char* const* env) {
  (void)execve(path, const_cast<char* const*>(argv), const_cast<char* const*>(env));
  return errno;
}

bool Exists(const char* path) {
  struct stat status;
  return stat(path, &status) == 0;
}

void FailExec(Failure& failure, FailureKind kind, int error, const char* command,
              const char* path) {
  MessageText message;
  message << "command '" << command << '\'';
  if (strcmp(command, path) != 0) message << " (" << path << ')';
  if (kind == FailureKind::kCommandNotExecutable && error == ENOENT) {
    message << ": its interpreter is missing";
    error = 0;
  }
  const char* field =
      kind == FailureKind::kStartFailed || kind == FailureKind::kUnsupported ? "" : "command";
  FailWith(failure, kind, error, field, message);
}

const char* FindPath(const char* const* env) {
  for (; *env != nullptr; ++env) {
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  }
  return nullptr;
}

}  // namespace

FailureKind ClassifyExecError(int error, bool exists) {
  switch (error) {
    case ENOENT:
      return exists ? FailureKind::kCommandNotExecutable : FailureKind::kCommandNotFound;
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return FailureKind::kCommandNotFound;
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
    case ELIBBAD:
    case EINVAL:
      return FailureKind::kCommandNotExecutable;
    case E2BIG:
      return FailureKind::kInvalidArgument;
    default:
      return FailureKind::kStartFailed;
  }
}

void Exec(const char* const* argv, const char* const* env, Failure& failure) {
  const char* command = argv[0];
  if (strchr(command, '/') != nullptr) {
    const int error = TryExec(command, argv, env);
    FailExec(failure, ClassifyExecError(error, Exists(command)), error, command, command);
    return;
  }
  // Of all files of that name the first that cannot be executed is reported, if none can.
  bool found = false;
  const char* path = FindPath(env);
  for (const char* rest = path; rest != nullptr;) {
    const char* end = strchrnul(rest, ':');
    Text<PATH_MAX> file;
    file.Append(rest, static_cast<size_t>(end - rest));
    if (end > rest) file << '/';  // an empty entry is the working directory
    file << command;
    rest = *end == '\0' ? nullptr : end + 1;
    if (file.cut()) continue;
    const int error = TryExec(file.c_str(), argv, env);
    const FailureKind kind = ClassifyExecError(error, Exists(file.c_str()));
    if (kind == FailureKind::kCommandNotFound) continue;
    if (!found) FailExec(failure, kind, error, command, file.c_str());
    found = true;
    if (kind != FailureKind::kCommandNotExecutable) return;
  }
  if (found) return;
  MessageText message;
  message << "command '" << command << "': not found in "
          << (path == nullptr ? "the container: there is no PATH" : "PATH of the container");
  FailWith(failure, FailureKind::kCommandNotFound, 0, "command", message);
}

}  // namespace minibox::init
