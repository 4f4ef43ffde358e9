// SPDX-License-Identifier: Apache-2.0
// What the caller, the monitor, PID 1 and later clients of the monitor say to each other.
// Compiled by both worlds: no standard library.
//
//   caller  ──kLaunch (spec, descriptors)──> monitor ──clone3──> PID 1
//                                            monitor ──kMapped, kRoot, kMounts──> PID 1
//   caller  <──kSetUp, with descriptors──    monitor <──kReady, with descriptors── PID 1
//   caller  ──kRelease──>                    monitor ──kRelease──> PID 1
//   caller  <──kRunning──                    monitor <──kRunning── PID 1
//   client  ──kSignal──> monitor ──kSignal──> PID 1
//   client  <──kExited── monitor <──kExited── PID 1
//   client  ──kInput, kInputEnd, kResize──> monitor
//
//   caller  ──kExec (spec, descriptors)──> agent ──clone3──> child ──exec──> command
//   caller  <──kRunning, with descriptors── agent <──kReady, kExecuting── child
//   caller  ──kSignal──> agent, <──kExited── agent
//   anybody instead of an answer: kFailed. The caller instead of kRelease: kAbort, or its end.
//
// Every message is one packet of a SOCK_SEQPACKET socket: a MessageHeader and its payload, in
// the machine's byte order. Descriptors travel with the packet.
#pragma once

#include <stdint.h>

namespace minibox::init {

// A monitor outlives the library that started it: of what a newer library may say to an older
// monitor (kHello, kSignal, kExited) nothing ever changes but by addition.
inline constexpr uint32_t kProtocolVersion = 1;

enum class Message : uint32_t {
  kLaunch = 1,
  kRelease,
  kAbort,
  kSetUp,
  kRunning,
  kFailed,
  kMapped,
  kRoot,
  kMounts,
  kReady,
  kExecuting,
  kExec,
  // dns_protocol.h
  kDnsServe = 32,
  kDnsServing,
  // monitor.sock
  kHello = 64,
  kSignal,
  kExited,
  kInput,     // bytes for the workload's stdin
  kInputEnd,  // end of its stdin; on a terminal the end-of-file character
  kResize,    // ResizeMessage
};

struct MessageHeader {
  Message type;
  uint32_t size;  // of the payload
};

inline constexpr uint32_t kMaxPayload = 32 * 1024;
inline constexpr uint32_t kMaxFdsPerMessage = 250;  // the kernel's own limit is 253
inline constexpr uint32_t kMaxLaunchBytes = 16u << 20;
inline constexpr uint32_t kMaxLaunchFds = 16 * 1024;

// In the run directory.
inline constexpr char kMonitorSocket[] = "monitor.sock";

// A directory in a volume that is being filled (MountOp::copy_up). Left by a crash, it means that
// the volume counts as empty.
inline constexpr char kFillingMark[] = ".minibox-filling";

// The control socket of the monitor; 0-2 are /dev/null.
inline constexpr int kControlFd = 3;

// kLaunch, kExec: the first packet begins with this; the encoded spec and the descriptors follow in
// as many packets as they need.
struct LaunchHeader {
  uint32_t version;
  uint32_t bytes;
  uint32_t fds;
  uint32_t reserved;
};

// Which descriptors come with a launch, in this order.
struct LaunchFdCounts {
  uint8_t data_root, container_dir, run_dir, capture, oom_events, cgroup_v2;  // 0 or 1
  uint16_t cgroup_tasks;
  uint32_t binds, held;
  // kExec: the pidfd of PID 1; the container's group of one hierarchy and the group inside it that
  // is this exec's own.
  uint8_t exec_target, exec_parent, exec_group;
  // kLaunch: the pidfd of the process whose network and user namespace it shares; freezer.state of
  // the group, on version 1, where what is frozen does not die.
  uint8_t join, freezer;
  uint8_t reserved[3];
};

enum class FailureKind : uint32_t {
  kStartFailed = 1,
  kInvalidArgument,
  kUnsupported,
  kCommandNotFound,
  kCommandNotExecutable,
};

// kFailed. What went wrong, once, where it has a name; texts end with NUL.
struct Failure {
  FailureKind kind;
  int32_t error;      // errno, 0: none
  char field[128];    // of the launch spec; empty: none
  char message[512];  // without the text of `error`
};

// A step of the launch and when it ended (CLOCK_MONOTONIC).
struct Step {
  char name[24];
  uint64_t ns;
};
inline constexpr uint32_t kMaxSteps = 32;

// kSetUp: with the pidfd of PID 1 and, in an own network namespace, its descriptor and a
// NETLINK_ROUTE socket in it. Warnings follow, each ended by NUL.
struct SetUpMessage {
  int32_t pid;
  uint32_t warnings;
};

// kReady: with the ends of the workload's stdio that are ours (see StdioFdCount) and, in an own
// network namespace, its descriptor and a NETLINK_ROUTE socket. Payload: Steps. kRunning: Steps
// too. The kReady and the kRunning of an exec: see ExecFdCount.

// A terminal: its master and a slave that keeps it open. Else the read ends of stdout and stderr
// and, with `open_stdin`, the write end of stdin.
constexpr uint32_t StdioFdCount(bool tty, bool open_stdin) { return !tty && open_stdin ? 3 : 2; }
// The master of a terminal; the same pipes; nothing.
constexpr uint32_t ExecFdCount(bool tty, bool open_stdin, bool detached) {
  return tty ? 1 : detached ? 0 : open_stdin ? 3 : 2;
}

struct HelloMessage {
  uint32_t version;
  int32_t pid;  // of PID 1
};

struct SignalMessage {
  int32_t signal;
};

// kAbort of an exec: how long the process, which has lost its terminal, may take to end by itself.
struct AbortMessage {
  uint32_t grace_ms;
};

struct ResizeMessage {
  uint16_t rows, cols;
};

// kExited, monitor or agent to client.
struct ExitedMessage {
  int32_t code;    // 128+signal if killed
  int32_t signal;  // 0 if it exited
  uint32_t oom_killed;
  uint32_t reserved;
  int64_t at_ns;  // since 1970
  char error[64];
};
// kExited, PID 1 to monitor: the workload's status as of waitpid(2).
struct WorkloadExitedMessage {
  int32_t status;
};

// Captured output is a SOCK_SEQPACKET socket of its own. Each packet is one byte, an
// OutputFrame, and the bytes; kEnd is the last: without it the monitor was killed.
enum class OutputFrame : uint8_t { kStdout = 1, kStderr = 2, kEnd = 3 };
inline constexpr uint32_t kOutputChunk = 32 * 1024;

}  // namespace minibox::init
