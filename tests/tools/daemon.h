// SPDX-License-Identifier: Apache-2.0
// The real programs: a miniboxd on a data root of the test's own, and commands.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/scratch.h"

namespace minibox::testing {

// A program that has ended.
struct Finished {
  int status = -1;  // exit status; 128 + signal
  std::string out{}, err{};
};
using Variables = std::map<std::string, std::string>;

// Runs a program with exactly these variables, PATH and HOME; stdin is empty or a file.
Finished RunProgram(const std::vector<std::string>& argv, const Variables& variables = {},
                    const std::string& stdin_path = "/dev/null");
Finished Miniboxd(const std::vector<std::string>& arguments, const Variables& variables = {});

// Started with MINIBOX_HTTP_ADDR=127.0.0.1:0 and without bridge; stopped by the destructor.
class Daemon {
 public:
  explicit Daemon(const Scratch& scratch, const Variables& more = {});
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  // Ends it and returns its exit status (128 + signal); output() is complete then.
  int End(int signal);
  const std::string& output() const { return output_; }

  // `minibox` talking to it.
  Finished Cli(std::vector<std::string> arguments, const Variables& more = {},
               const std::string& stdin_path = "/dev/null") const;

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int port_ = 0;
  std::string output_;
};

// A network namespace of this process's own with a loopback interface, for the whole program.
void EnterOwnNetwork();

// A build context with base.tar.gz, a root file system of busybox alone.
void WriteBusyboxContext(const Scratch& scratch, const std::string& name,
                         const std::string& minibox_file);

}  // namespace minibox::testing
