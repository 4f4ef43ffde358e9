// SPDX-License-Identifier: Apache-2.0
// Connections that are taken over: exec, attach and interactive runs, by their bytes and by the
// command line on a terminal.
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "tools/daemon.h"
#include "tools/raw_client.h"
#include "wire/frames.h"

namespace minibox::testing {
namespace {

using wire::FrameType;

constexpr const char* kForever = "while :; do sleep 1000 & wait $!; done";
constexpr std::string_view kRawHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
constexpr const char* kUpgrade = "Connection: Upgrade\r\nUpgrade: minibox.stream.v1\r\n";

// What a framed stream has said until its end.
struct Said {
  std::string out, err, error;
  std::optional<int> code;
};

// `minibox` on a terminal of its own.
class Typist {
 public:
  Typist(int port, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), MINIBOX_PATH);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string api = "MINIBOX_API=http://127.0.0.1:" + std::to_string(port);
    winsize size{};
    size.ws_row = 40;
    size.ws_col = 100;
    pid_ = forkpty(&master_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      putenv(const_cast<char*>(api.c_str()));
      execv(MINIBOX_PATH, argv.data());
      _exit(99);
    }
  }
  ~Typist() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(master_);
  }
  void Type(std::string_view keys) { EXPECT_GT(write(master_, keys.data(), keys.size()), 0); }
  void Resize(unsigned short rows, unsigned short cols) {
    winsize size{};
    size.ws_row = rows;
    size.ws_col = cols;
    EXPECT_EQ(ioctl(master_, TIOCSWINSZ, &size), 0);
  }
  // Until the screen shows `text` behind what was awaited before.
  bool Await(std::string_view text) {
    while (true) {
      const size_t found = screen_.find(text, seen_);
      if (found != std::string::npos) {
        seen_ = found + text.size();
        return true;
      }
      char bytes[4096];
      const ssize_t count = read(master_, bytes, sizeof bytes);
      if (count <= 0) {
        ADD_FAILURE() << "no '" << text << "' in: " << screen_;
        return false;
      }
      screen_.append(bytes, static_cast<size_t>(count));
    }
  }
  bool IsRaw() const {
    termios mode{};
    return tcgetattr(master_, &mode) == 0 && (mode.c_lflag & ICANON) == 0;
  }
  void Signal(int signal) const { kill(pid_, signal); }
  int End() {
    char bytes[4096];
    ssize_t count;
    while ((count = read(master_, bytes, sizeof bytes)) > 0) {
      screen_.append(bytes, static_cast<size_t>(count));
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  const std::string& screen() const { return screen_; }

 private:
  pid_t pid_ = -1;
  int master_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

class StreamTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (HaveRoot()) EnterOwnNetwork();
  }
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    daemon_ = std::make_unique<Daemon>(scratch_);
    WriteBusyboxContext(scratch_, "shell", "BASE base.tar.gz\n");
    const Finished built = daemon_->Cli({"build", "-t", "shell", scratch_ / "shell"});
    ASSERT_EQ(built.status, 0) << built.out << built.err;
  }
  void TearDown() override {
    if (!daemon_) return;
    for (const std::string& id : started_) daemon_->Cli({"rm", "-f", id});
  }

  static std::string Request(const std::string& target, const std::string& body = "",
                             const std::string& headers = "") {
    return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  RawResponse Post(const std::string& target, const std::string& body = "") {
    return RawClient::Ask(daemon_->port(), Request(target, body));
  }
  static std::string RunBody(const std::string& script, const std::string& more = "") {
    return R"({"image":"shell","network":"none","command":["sh","-c",")" + script + "\"]" + more +
           "}";
  }
  std::string Detached(const std::string& script = kForever, const std::string& more = "") {
    const RawResponse response =
        Post("/containers/run", RunBody(script, R"(,"detached":true)" + more));
    EXPECT_EQ(response.status, 200) << response.body;
    started_.push_back(response.body.substr(0, 8));
    return started_.back();
  }
  static std::string ExecBody(const std::string& id, const std::string& script,
                              const std::string& more = "") {
    return R"({"id":")" + id + R"(","command":["sh","-c",")" + script + "\"]" + more + "}";
  }
  // Everything that a framed stream still says.
  static Said Hear(RawClient& client) {
    Said said;
    wire::FrameReader frames;
    frames.Add(client.ReadToEnd());
    while (true) {
      const auto frame = frames.Next();
      EXPECT_TRUE(frame.ok());
      if (!frame.ok() || !*frame) return said;
      EXPECT_FALSE(said.code) << "exit is the last frame";
      if ((*frame)->Is(FrameType::kStdout)) said.out += (*frame)->payload;
      if ((*frame)->Is(FrameType::kStderr)) said.err += (*frame)->payload;
      if ((*frame)->Is(FrameType::kError)) said.error += (*frame)->payload;
      if ((*frame)->Is(FrameType::kExit)) said.code = wire::DecodeExit(**frame);
    }
  }
  // Whether processes of that name are in the container.
  std::string Count(const std::string& id, const std::string& name) {
    return Post("/containers/exec",
                ExecBody(id, "ps | grep -v grep | grep -c '" + name + "'; true"))
        .body;
  }

  Scratch scratch_;
  std::unique_ptr<Daemon> daemon_;
  std::vector<std::string> started_;
};

TEST_F(StreamTest, ExecStreamsTextAndEndsWithTrailers) {
  const std::string id = Detached();
  const RawResponse response =
      Post("/containers/exec", ExecBody(id, "echo out; echo err >&2; exit 7"));
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.complete);
  EXPECT_EQ(response.body.size(), 8u);
  EXPECT_EQ(response.trailers.at("x-minibox-exit-code"), "7");
  EXPECT_EQ(response.trailers.at("x-minibox-exit-reason"), "exited");
}

TEST_F(StreamTest, ExecErrorsAreOrdinaryAnswers) {
  const std::string id = Detached();
  EXPECT_EQ(Post("/containers/exec", R"({"command":["a"]})").body, "Container ID is required\n");
  EXPECT_EQ(Post("/containers/exec", R"({"id":"a"})").body, "Command is required\n");
  RawResponse response = Post("/containers/exec", R"({"id":"ffffffff","command":["a"]})");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "Container not found\n");
  for (const char* more : {"", R"(,"interactive":true)"}) {
    response = Post("/containers/exec",
                    R"({"id":")" + id + R"(","command":["no-such-thing"])" + more + "}");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.Header("x-minibox-exit-code"), "127");
    response = Post("/containers/exec", R"({"id":")" + id + R"(","command":["/bin"])" + more + "}");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.Header("x-minibox-exit-code"), "126");
  }
  ASSERT_EQ(Post("/containers/kill?id=" + id).status, 200);
  response = Post("/containers/exec", ExecBody(id, "true"));
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.body, "Container is not running\n");
  EXPECT_EQ(Post("/containers/attach?id=" + id).status, 409);
  EXPECT_EQ(Post("/containers/attach").status, 400);
  EXPECT_EQ(Post("/containers/resize?id=" + id).status, 400);
}

TEST_F(StreamTest, RawStreamsAreBarePipes) {
  const std::string id = Detached();
  RawClient client(daemon_->port());
  // A terminal that does not echo; everything comes in one packet, also behind the JSON value but
  // inside Content-Length.
  const std::string body =
      ExecBody(id, "stty -echo; read a; read b; echo got $a $b; exit 3", R"(,"interactive":true)");
  std::string request = Request("/containers/exec?rows=9&cols=33", body + "inside\n");
  client.Send(request + "early\n");
  const std::string all = client.ReadToEnd();
  EXPECT_EQ(all.substr(0, kRawHead.size()), kRawHead);
  EXPECT_NE(all.find("got inside early\r\n"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("\n[error] exec failed: exit status 3\n")) << all;
}

TEST_F(StreamTest, EarlyBytesAfterEarlierRequestsOnTheConnection) {
  const std::string id = Detached();
  RawClient client(daemon_->port());
  client.Send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.Receive().status, 200);
  client.Send(
      Request("/containers/exec", ExecBody(id, "cat", R"(,"interactive":true,"tty":false)")) +
      "first ");
  client.Send("second");
  client.HalfClose();
  EXPECT_EQ(client.ReadToEnd(), std::string(kRawHead) + "first second");
}

TEST_F(StreamTest, HalfCloseEndsStdinOnly) {
  const std::string id = Detached();
  RawClient client(daemon_->port());
  client.Send(Request("/containers/exec", ExecBody(id, "wc -c; sleep 0.2; echo end",
                                                   R"(,"interactive":true,"tty":false)")));
  const std::string input(500000, 'x');
  client.Send(input);
  client.HalfClose();
  EXPECT_EQ(client.ReadToEnd(), std::string(kRawHead) + "500000\nend\n");
}

TEST_F(StreamTest, FramesKeepStreamsApartAndCarrySignals) {
  const std::string id = Detached();
  {
    RawClient client(daemon_->port());
    client.Send(
        Request("/containers/exec", ExecBody(id, "echo out; echo err >&2; exit 5"), kUpgrade));
    const RawResponse head = client.ReceiveHead();
    EXPECT_EQ(head.status, 101);
    EXPECT_EQ(head.Header("upgrade"), "minibox.stream.v1");
    EXPECT_EQ(head.Header("connection"), "Upgrade");
    const Said said = Hear(client);
    EXPECT_EQ(said.out, "out\n");
    EXPECT_EQ(said.err, "err\n");
    EXPECT_EQ(said.code, 5);
  }
  RawClient client(daemon_->port());
  client.Send(
      Request(
          "/containers/exec",
          ExecBody(id, "trap 'echo term; exit 6' TERM; cat; echo eof; while :; do sleep 0.05; done",
                   R"(,"interactive":true,"tty":false)"),
          kUpgrade) +
      wire::EncodeFrame(FrameType::kStdin, "hello ") + wire::EncodeFrame(FrameType::kStdin) +
      wire::EncodeFrame(static_cast<FrameType>(77), "unknown"));
  EXPECT_EQ(client.ReceiveHead().status, 101);
  client.Send(wire::EncodeFrame(FrameType::kStdinEnd));
  EXPECT_NE(client.ReadUntil("eof\n").find("hello"), std::string::npos);
  client.Send(wire::EncodeSignal(SIGTERM));
  const Said said = Hear(client);
  EXPECT_EQ(said.out, "term\n");
  EXPECT_EQ(said.code, 6);
}

TEST_F(StreamTest, MalformedFramesEndTheStream) {
  const std::string id = Detached();
  using std::string_literals::operator""s;
  const std::string malformed[] = {
      "\0\0\1\0\0\0\0\1x"s,         // padding
      "\0\0\0\0\0\x20\0\0"s,        // longer than 1 MiB
      "\3\0\0\0\0\0\0\3abc"s,       // a size of three bytes
      "\3\0\0\0\0\0\0\4\0\0\0\1"s,  // no rows
      "\6\0\0\0\0\0\0\1\0"s,        // no signal
      "\7\0\0\0\0\0\0\1x"s,         // an end with a payload
  };
  for (const std::string& frame : malformed) {
    RawClient client(daemon_->port());
    client.Send(Request("/containers/exec", ExecBody(id, "sleep 7777"), kUpgrade) + frame);
    EXPECT_EQ(client.ReceiveHead().status, 101);
    const Said said = Hear(client);
    EXPECT_NE(said.error, "");
    EXPECT_EQ(said.code, 125);
  }
  EXPECT_EQ(Count(id, "sleep 7777"), "0\n") << "killed with its client";
}

TEST_F(StreamTest, ExecsEndWithTheirClient) {
  const std::string id = Detached();
  {
    RawClient text(daemon_->port());
    text.Send(
        Request("/containers/exec", ExecBody(id, "echo ready; setsid sleep 7777 & sleep 7777")));
    text.ReadUntil("ready");
    RawClient framed(daemon_->port());
    framed.Send(Request("/containers/exec", ExecBody(id, "echo ready; sleep 7777"), kUpgrade));
    framed.ReadUntil("ready");
    RawClient terminal(daemon_->port());
    // In the background: a shell runs no trap while it waits for a command in the foreground, and
    // the kernel tells only the leader of the session of the hang-up.
    terminal.Send(Request("/containers/exec",
                          ExecBody(id, "trap ': > /hup; exit' HUP; echo ready; sleep 7777 & wait",
                                   R"(,"interactive":true)"),
                          kUpgrade));
    terminal.ReadUntil("ready");
  }
  // An event, not a time: `ps` until nothing is left.
  while (Count(id, "sleep 7777") != "0\n") {
  }
  EXPECT_EQ(Post("/containers/exec", ExecBody(id, "ls /hup")).body, "/hup\n");
}

TEST_F(StreamTest, InteractiveRunsTakeOverTheConnection) {
  RawClient client(daemon_->port());
  client.Send(
      Request(
          "/containers/run?rows=33&cols=44",
          RunBody("stty size; stty -echo; read x; echo got $x; tty; ls -l /dev/console; kill -9 $$",
                  R"(,"interactive":true,"rm":true)")) +
      "typed\n");
  const std::string all = client.ReadToEnd();
  EXPECT_EQ(all.substr(0, kRawHead.size()), kRawHead);
  EXPECT_NE(all.find("33 44\r\n"), std::string::npos) << all;
  EXPECT_NE(all.find("got typed\r\n"), std::string::npos) << all;
  EXPECT_NE(all.find("/dev/pts/0\r\n"), std::string::npos) << all;
  EXPECT_NE(all.find("/dev/console"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("\n[error] signal: killed\n")) << all;
  EXPECT_EQ(Post("/containers/run", R"({"image":"none","interactive":true})").status, 404);
}

TEST_F(StreamTest, RunsWithPipesAndFrames) {
  RawClient client(daemon_->port());
  client.Send(
      Request("/containers/run",
              RunBody("cat; echo err >&2; exit 9", R"(,"interactive":true,"tty":false,"rm":true)"),
              kUpgrade) +
      wire::EncodeFrame(FrameType::kStdin, "in") + wire::EncodeFrame(FrameType::kStdinEnd));
  const RawResponse head = client.ReceiveHead();
  EXPECT_EQ(head.status, 101);
  EXPECT_EQ(head.Header("x-minibox-container-id").size(), 8u);
  const Said said = Hear(client);
  EXPECT_EQ(said.out, "in");
  EXPECT_EQ(said.err, "err\n");
  EXPECT_EQ(said.code, 9);
}

TEST_F(StreamTest, AttachmentsHearEverythingAndShareStdin) {
  const std::string id = Detached("echo begin; while read line; do echo got $line; done; exit 4",
                                  R"(,"interactive":true,"tty":false)");
  RawClient first(daemon_->port()), second(daemon_->port());
  first.Send(Request("/containers/attach?id=" + id + "&logs=1", "", kUpgrade));
  EXPECT_EQ(first.ReceiveHead().status, 101);
  first.ReadUntil("begin\n");
  second.Send(Request("/containers/attach?id=" + id, "", kUpgrade));
  EXPECT_EQ(second.ReceiveHead().status, 101);
  first.Send(wire::EncodeFrame(FrameType::kStdin, "one\n"));
  first.ReadUntil("got one\n");
  second.ReadUntil("got one\n");
  second.Send(wire::EncodeFrame(FrameType::kStdin, "two\n"));
  first.ReadUntil("got two\n");
  second.Close();  // disturbs nobody
  {
    RawClient deaf(daemon_->port());
    deaf.Send(Request("/containers/attach?id=" + id + "&stdin=0", "", kUpgrade) +
              wire::EncodeFrame(FrameType::kStdin, "never\n"));
    EXPECT_EQ(deaf.ReceiveHead().status, 101);
  }
  RawClient third(daemon_->port());
  third.Send(Request("/containers/attach?id=" + id + "&logs=1", "", kUpgrade));
  EXPECT_EQ(third.ReceiveHead().status, 101);
  first.Send(wire::EncodeFrame(FrameType::kStdin, "three\n") +
             wire::EncodeFrame(FrameType::kStdinEnd));
  const Said said = Hear(third);
  EXPECT_EQ(said.out, "begin\ngot one\ngot two\ngot three\n");
  EXPECT_EQ(said.code, 4);
  EXPECT_EQ(Hear(first).code, 4);
}

TEST_F(StreamTest, ResizeNeedsATerminal) {
  const std::string plain = Detached();
  RawResponse response = Post("/containers/resize?rows=10&cols=20&id=" + plain);
  EXPECT_EQ(response.status, 409);
  const std::string id = Detached(
      "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done", R"(,"tty":true)");
  RawClient client(daemon_->port());
  client.Send(Request("/containers/attach?logs=1&id=" + id));
  client.ReadUntil("ready");
  response = Post("/containers/resize?rows=10&cols=20&id=" + id);
  EXPECT_EQ(response.body, "Container " + id + " resized\n");
  client.ReadUntil("10 20");
  EXPECT_EQ(Post("/containers/resize?rows=0&cols=20&id=" + id).status, 400);
}

TEST_F(StreamTest, AttachSurvivesTheDaemon) {
  const std::string id = Detached("echo begin; while read line; do echo got $line; done",
                                  R"(,"interactive":true,"tty":false)");
  {
    RawClient client(daemon_->port());
    client.Send(Request("/containers/attach?id=" + id, "", kUpgrade) +
                wire::EncodeFrame(FrameType::kStdin, "one\n"));
    client.ReadUntil("got one\n");
    RawClient exec(daemon_->port());
    exec.Send(Request("/containers/exec", ExecBody(id, "echo ready; sleep 7777")));
    exec.ReadUntil("ready");
    daemon_->End(SIGKILL);
  }
  daemon_ = std::make_unique<Daemon>(scratch_);
  RawClient client(daemon_->port());
  client.Send(Request("/containers/attach?logs=1&id=" + id, "", kUpgrade) +
              wire::EncodeFrame(FrameType::kStdin, "two\n") +
              wire::EncodeFrame(FrameType::kStdinEnd));
  EXPECT_EQ(client.ReceiveHead().status, 101);
  EXPECT_EQ(Hear(client).out, "begin\ngot one\ngot two\n");
}

TEST_F(StreamTest, CommandLineExec) {
  const std::string id = Detached();
  Finished done = daemon_->Cli({"exec", id, "sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(done.status, 7);
  EXPECT_EQ(done.out, "out\n");
  EXPECT_EQ(done.err, "err\n");
  EXPECT_EQ(daemon_->Cli({"exec", id, "no-such-thing"}).status, 127);
  EXPECT_EQ(daemon_->Cli({"exec", id, "/bin"}).status, 126);
  EXPECT_EQ(daemon_->Cli({"exec", "ffffffff", "true"}).status, 125);
  EXPECT_EQ(daemon_->Cli({"exec"}).status, 2);
  EXPECT_EQ(daemon_
                ->Cli({"exec", "-u", "1000", "-w", "/tmp", "-e", "A=b", id, "sh", "-c",
                       "id -u; pwd; echo $A"})
                .out,
            "1000\n/tmp\nb\n");
  std::ofstream(scratch_ / "input") << "some input";
  EXPECT_EQ(daemon_->Cli({"exec", "-i", id, "cat"}, {}, scratch_ / "input").out, "some input");
  done = daemon_->Cli({"exec", "-d", id, "sh", "-c", ": > /detached"});
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_EQ(done.out, "");
  while (daemon_->Cli({"exec", id, "ls", "/detached"}).status != 0) {
  }
}

TEST_F(StreamTest, CommandLineRunsWithStdinAndAttachedStarts) {
  std::ofstream(scratch_ / "input") << "some input";
  const Finished run = daemon_->Cli(
      {"run", "-i", "--rm", "--network", "none", "shell", "sh", "-c", "cat; echo e >&2; exit 3"},
      {}, scratch_ / "input");
  EXPECT_EQ(run.status, 3);
  EXPECT_EQ(run.out, "some input");
  const Finished created =
      daemon_->Cli({"create", "--network", "none", "shell", "sh", "-c", "echo again; exit 6"});
  const std::string id = created.out.substr(0, 8);
  started_.push_back(id);
  for (int i = 0; i < 2; ++i) {
    const Finished started = daemon_->Cli({"start", "-a", id});
    EXPECT_EQ(started.status, 6);
    EXPECT_EQ(started.out, "again\n");
  }
}

TEST_F(StreamTest, AShellOnATerminal) {
  Typist typist(daemon_->port(),
                {"run", "-it", "--rm", "--network", "none", "-e", "PS1=> ", "shell", "sh"});
  typist.Await("> ");
  EXPECT_TRUE(typist.IsRaw());
  typist.Type("stty size\r");
  typist.Await("40 100");
  typist.Resize(50, 120);
  typist.Await("> ");
  typist.Type("while [ \"$(stty size)\" != '50 120' ]; do :; done; echo size$((1+1))\r");
  typist.Await("size2");
  typist.Type("sh -c 'echo go$((1+2)); exec sleep 7777'\r");
  typist.Await("go3");
  typist.Type("\x03");
  typist.Type("echo int$?\r");
  typist.Await("int130");
  typist.Type("exit 5\r");
  EXPECT_EQ(typist.End(), 5) << typist.screen();
}

TEST_F(StreamTest, DetachKeysLeaveItRunningForTheNextClient) {
  const std::string id = Detached("sh -i", R"(,"interactive":true,"env":["PS1=> "])");
  {
    Typist typist(daemon_->port(), {"attach", "--logs", id});
    typist.Await("> ");
    typist.Type("echo mark$((40+2))\r");
    typist.Await("mark42");
    typist.Type("\x10");  // ctrl-p, held back until it is known what follows
    typist.Type("\x11");
    EXPECT_EQ(typist.End(), 0) << typist.screen();
    EXPECT_FALSE(typist.IsRaw());
  }
  Typist typist(daemon_->port(), {"attach", "--detach-keys", "ctrl-x", id});
  typist.Type("echo back$((1+1))\r");
  typist.Await("back2");
  typist.Type("exit 8\r");
  EXPECT_EQ(typist.End(), 8) << typist.screen();
}

TEST_F(StreamTest, SignalsGoToTheContainerAndTheTerminalIsRestored) {
  const std::string id = Detached();
  {
    Typist typist(daemon_->port(), {"exec", "-it", id, "sh", "-c",
                                    "trap 'echo hup; exit 3' USR1; echo ready; "
                                    "while :; do sleep 0.05; done"});
    typist.Await("ready");
    EXPECT_TRUE(typist.IsRaw());
    typist.Signal(SIGUSR1);
    typist.Await("hup");
    EXPECT_EQ(typist.End(), 3);
    EXPECT_FALSE(typist.IsRaw());
  }
  Typist typist(daemon_->port(), {"exec", "-it", id, "sh", "-c", "echo ready; sleep 7777"});
  typist.Await("ready");
  typist.Signal(SIGSEGV);
  EXPECT_EQ(typist.End(), 128 + SIGSEGV);
  EXPECT_FALSE(typist.IsRaw());
}

}  // namespace
}  // namespace minibox::testing
