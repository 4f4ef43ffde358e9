// SPDX-License-Identifier: Apache-2.0
#include "init/exit_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "init/held.h"
#include "init/time_text.h"

namespace minibox::init {
namespace {

constexpr char kName[] = "exit.json";
constexpr char kTemporary[] = ".exit.json.tmp";

bool WriteAndSync(int dir, const Text<512>& text) {
  const Held file(
      openat(dir, kTemporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return false;
  const ssize_t written = write(file.get(), text.c_str(), text.size());
  if (written >= 0 && written != static_cast<ssize_t>(text.size())) errno = ENOSPC;
  return written == static_cast<ssize_t>(text.size()) && fsync(file.get()) == 0;
}

}  // namespace

Text<512> FormatExit(const ExitedMessage& exit) {
  Text<512> text;
  text << "{\"exit_code\":" << exit.code << ",\"signal\":" << exit.signal;
  if (exit.oom_killed != 0) text << ",\"oom_killed\":true";
  text << ",\"finished_at\":\"";
  AppendTime(text, exit.at_ns);
  text << '"';
  // Our own words: nothing to be escaped.
  if (exit.error[0] != '\0') text << ",\"error\":\"" << exit.error << '"';
  text << "}\n";
  return text;
}

bool RecordExit(int dir, const ExitedMessage& exit) {
  // The caller's descriptor may be one that cannot be synced.
  const Held directory(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return false;
  if (!WriteAndSync(directory.get(), FormatExit(exit)) ||
      renameat(directory.get(), kTemporary, directory.get(), kName) != 0) {
    const int error = errno;
    (void)unlinkat(directory.get(), kTemporary, 0);
    errno = error;
    return false;
  }
  return fsync(directory.get()) == 0;
}

}  // namespace minibox::init
