// SPDX-License-Identifier: Apache-2.0
// The monitor while its container runs.
#pragma once

#include <poll.h>

#include "init/channel.h"
#include "init/launch_input.h"
#include "init/monitor_launch.h"

namespace minibox::init {

// Everything that is read from the workload goes to the log and then to the capturing peer; as
// long as that has not taken what was read, nothing more is. When PID 1 has ended, so has
// everything in its namespace: what is left in the pipes is all there is.
class Supervision {
 public:
  // Copies what it needs of `input`.
  Supervision(const LaunchInput& input, Container& container);
  // `control` becomes the first client. False if there is no memory.
  bool Begin(int control, const LaunchInput& input);
  // Returns when the exit is recorded, all clients know and the captured output is flushed.
  void Run();

 private:
  struct Chunk {
    Chunk* next;
    uint32_t size;
    uint8_t bytes[kOutputChunk + 1];  // OutputFrame, output
  };
  enum class Pumped { kSome, kNone, kEnd };
  // Input that its stdin has had no room for yet. Nothing more is taken from that client.
  struct Input {
    uint32_t size, done;
    uint8_t bytes[kMaxPayload];
  };
  struct Client {
    int socket;
    Input* waiting;
  };

  void WaitForEvents();
  // One piece of output from `pipe`, if there is any.
  Pumped Pump(Held& pipe, LogStream stream);
  void Queue(Chunk* chunk);
  // Sends what is queued; stops at a full socket unless `wait`.
  void FlushCapture(bool wait);
  void TakeFromPid1();
  // False, and closed, if there is no memory.
  bool AddClient(int client);
  bool Reserve(uint32_t clients);
  void AcceptClients();
  // False if the client is gone.
  bool TakeRequests(Client& client);
  void TakeInput(Client& client, const uint8_t* bytes, uint32_t size);
  void TakeInputEnd(Client& client);
  // What its stdin takes of them.
  uint32_t WriteInput(const uint8_t* bytes, uint32_t size);
  void FlushInputs();
  void ReadClients();
  void Kill();
  void Finish();
  ExitedMessage ExitMessage(int pid1_status) const;
  uint64_t OomKills() const;

  Container& container_;
  const bool init_, record_exit_, tty_;
  const int container_dir_, run_dir_, oom_events_, freezer_;
  int capture_;
  int* held_ = nullptr;  // ports are free again once the exit is known
  uint32_t held_count_ = 0;
  const uint64_t deadline_ns_;  // CLOCK_MONOTONIC; 0: none
  const uint64_t oom_kills_before_;

  int control_ = -1;
  Client* clients_ = nullptr;
  uint32_t client_count_ = 0, client_capacity_ = 0;
  pollfd* polled_ = nullptr;
  uint32_t polled_clients_ = 0;
  bool accepting_ = true;
  bool mid_line_ = false;  // in what the terminal was given

  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
  Chunk* spare_ = nullptr;

  bool pid1_ended_ = false, killed_ = false, timed_out_ = false, aborted_ = false;
  bool has_workload_status_ = false;
  int workload_status_ = 0;
};

}  // namespace minibox::init
