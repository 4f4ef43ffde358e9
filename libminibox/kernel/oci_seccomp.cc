// SPDX-License-Identifier: Apache-2.0
#include "kernel/oci_seccomp.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include "core/errors.h"
#include "core/fd.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/capabilities.h"

namespace minibox::kernel {
namespace {

using core::StrCat;

constexpr size_t kMaxProfile = 4u << 20;
constexpr size_t kMaxRules = 65536;
constexpr int64_t kMaxErrno = 4095;
constexpr int kMaxInstructions = 4096;  // BPF_MAXINSNS

Status Invalid(const std::string& path, std::string_view why) {
  // "$.syscalls[0]" -> "seccomp.syscalls[0]"
  return core::InvalidArgument(StrCat("seccomp", path.substr(1)), why);
}
Status Invalid(const json::Value& value, std::string_view why) {
  return Invalid(value.path(), why);
}

// An error of the JSON reader under our name for the field.
Status Named(const json::Value& value, const Status& status) {
  std::string_view message = status.message();
  const std::string prefix = StrCat(value.path(), ": ");
  if (message.starts_with(prefix)) message.remove_prefix(prefix.size());
  return Invalid(value, message);
}

StatusOr<std::string> Text(const json::Value& value) {
  auto text = value.AsString();
  if (!text.ok()) return Named(value, text.status());
  return text;
}

// Absent or null: an empty list.
StatusOr<std::vector<std::string>> TextList(const json::Value& object, std::string_view key) {
  const json::Value value = object.Get(key);
  if (value.empty()) return std::vector<std::string>();
  auto list = value.AsStringArray();
  if (!list.ok()) return Named(value, list.status());
  return list;
}

StatusOr<std::optional<uint32_t>> ErrnoOf(const json::Value& object, std::string_view key) {
  const json::Value value = object.Get(key);
  if (value.empty()) return std::optional<uint32_t>();
  const auto number = value.AsInt();
  if (!number.ok()) return Named(value, number.status());
  if (*number < 0 || *number > kMaxErrno) return Invalid(value, "must be 0 to 4095");
  return std::optional<uint32_t>(static_cast<uint32_t>(*number));
}

// `data`: the errno, or what a tracer is told.
StatusOr<uint32_t> ParseAction(const json::Value& value, std::optional<uint32_t> data) {
  MBX_ASSIGN_OR_RETURN(const std::string name, Text(value));
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(data.value_or(EPERM));
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(data.value_or(EPERM));
  if (data) return Invalid(value, "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return a number");
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_NOTIFY") return Invalid(value, "there is no listener to notify");
  return Invalid(value, StrCat("'", core::EscapeControl(name), "' is not an action"));
}

struct NamedOperator {
  std::string_view name;
  enum scmp_compare op;
};
constexpr NamedOperator kOperators[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
                                        {"SCMP_CMP_LT", SCMP_CMP_LT},
                                        {"SCMP_CMP_LE", SCMP_CMP_LE},
                                        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                        {"SCMP_CMP_GE", SCMP_CMP_GE},
                                        {"SCMP_CMP_GT", SCMP_CMP_GT},
                                        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};

StatusOr<uint64_t> Number(const json::Value& value, bool required) {
  if (value.empty() && !required) return uint64_t{0};
  const auto number = value.AsUint();
  if (!number.ok()) return Named(value, number.status());
  return *number;
}

StatusOr<struct scmp_arg_cmp> ParseArgument(const json::Value& object) {
  constexpr uint64_t kLastArgument = 5;
  struct scmp_arg_cmp out = {};
  MBX_ASSIGN_OR_RETURN(const uint64_t index, Number(object.Get("index"), true));
  if (index > kLastArgument) return Invalid(object.Get("index"), "must be 0 to 5");
  out.arg = static_cast<unsigned>(index);
  MBX_ASSIGN_OR_RETURN(out.datum_a, Number(object.Get("value"), true));
  MBX_ASSIGN_OR_RETURN(out.datum_b, Number(object.Get("valueTwo"), false));
  MBX_ASSIGN_OR_RETURN(const std::string name, Text(object.Get("op")));
  const auto* row = std::find_if(std::begin(kOperators), std::end(kOperators),
                                 [&](const NamedOperator& known) { return known.name == name; });
  if (row == std::end(kOperators)) {
    return Invalid(object.Get("op"),
                   StrCat("'", core::EscapeControl(name), "' is not an operator"));
  }
  out.op = row->op;
  return out;
}

// "4.8" -> comparable; nullopt if malformed.
std::optional<uint64_t> KernelVersion(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto major = core::ParseUint64(text.substr(0, dot));
  std::string_view rest = text.substr(dot + 1);
  rest = rest.substr(0, rest.find_first_not_of("0123456789"));
  const auto minor = core::ParseUint64(rest);
  if (!major || !minor || *minor > 0xffff) return std::nullopt;
  return *major << 16 | *minor;
}

uint64_t RunningKernel() {
  struct utsname name;
  return uname(&name) == 0 ? KernelVersion(name.release).value_or(0) : 0;
}

constexpr std::string_view kNativeName =
#if defined(__x86_64__)
    "amd64";
#elif defined(__aarch64__)
    "arm64";
#else
    "";
#endif
constexpr std::string_view kArchNames[] = {
    "386",       "amd64",  "amd64p32", "arm",         "arm64",  "loong64",  "mips",   "mips64",
    "mips64n32", "mipsel", "mipsel64", "mipsel64n32", "mipsle", "mips64le", "parisc", "parisc64",
    "ppc",       "ppc64",  "ppc64le",  "riscv64",     "s390",   "s390x",    "x32",    "x86"};

// A condition of `includes` or `excludes`.
struct Condition {
  std::vector<bool> caps, arches;  // whether each one holds
  std::optional<bool> kernel{};
};

StatusOr<Condition> ParseCondition(const json::Value& object, uint64_t capabilities) {
  Condition out;
  if (object.empty()) return out;
  if (object.type() != json::Type::kObject) return Named(object, object.Expected("an object"));
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> caps, TextList(object, "caps"));
  for (const std::string& name : caps) {
    const auto number = ParseCapability(name);
    if (!number) {
      return Invalid(object.Get("caps"),
                     StrCat("'", core::EscapeControl(name), "' is not a capability"));
    }
    out.caps.push_back((capabilities >> *number & 1) != 0);
  }
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> arches, TextList(object, "arches"));
  for (const std::string& name : arches) {
    if (std::find(std::begin(kArchNames), std::end(kArchNames), name) == std::end(kArchNames)) {
      return Invalid(object.Get("arches"),
                     StrCat("'", core::EscapeControl(name), "' is not an architecture"));
    }
    out.arches.push_back(name == kNativeName);
  }
  if (const json::Value least = object.Get("minKernel"); !least.empty()) {
    MBX_ASSIGN_OR_RETURN(const std::string text, Text(least));
    const auto version = KernelVersion(text);
    if (!version) return Invalid(least, "must be '<major>.<minor>'");
    out.kernel = RunningKernel() >= *version;
  }
  return out;
}

bool Any(const std::vector<bool>& values) {
  return std::find(values.begin(), values.end(), true) != values.end();
}
bool All(const std::vector<bool>& values) {
  return std::find(values.begin(), values.end(), false) == values.end();
}

// Every capability, one of the architectures, the kernel; none of what is excluded.
StatusOr<bool> Applies(const json::Value& rule, uint64_t capabilities) {
  MBX_ASSIGN_OR_RETURN(const Condition with, ParseCondition(rule.Get("includes"), capabilities));
  MBX_ASSIGN_OR_RETURN(const Condition without, ParseCondition(rule.Get("excludes"), capabilities));
  return All(with.caps) && (with.arches.empty() || Any(with.arches)) &&
         with.kernel.value_or(true) && !Any(without.caps) && !Any(without.arches) &&
         !without.kernel.value_or(false);
}

class Compiler {
 public:
  explicit Compiler(uint64_t capabilities) : capabilities_(capabilities) {}

  StatusOr<CompiledProfile> Compile(const json::Value& root) {
    if (root.type() != json::Type::kObject) {
      return core::InvalidArgument("seccomp", "expected an object");
    }
    for (const char* key : {"listenerPath", "listenerMetadata"}) {
      const json::Value value = root.Get(key);
      if (!value.empty() && !(value.type() == json::Type::kString && value.AsString()->empty())) {
        return Invalid(value, "there is no listener");
      }
    }
    MBX_ASSIGN_OR_RETURN(const auto number, ErrnoOf(root, "defaultErrnoRet"));
    MBX_ASSIGN_OR_RETURN(default_, ParseAction(root.Get("defaultAction"), number));
    context_.reset(seccomp_init(default_));
    if (!context_) return core::Internal("seccomp_init fails");
    // 2: a binary tree, which is what makes long lists cheap.
    (void)seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) != 0) {
      return core::Internal("seccomp_attr_set fails");
    }
    MBX_RETURN_IF_ERROR(AddArchitectures(root));
    MBX_RETURN_IF_ERROR(CheckFlags(root));
    const json::Value rules = root.Get("syscalls");
    if (!rules.empty() && rules.type() != json::Type::kArray) {
      return Named(rules, rules.Expected("an array"));
    }
    for (const json::Value& rule : rules.Elements()) MBX_RETURN_IF_ERROR(AddRules(rule));
    for (const std::string& name : unknown_) {
      result_.warnings.push_back(
          StrCat("seccomp: unknown system call '", core::EscapeControl(name), "' is skipped"));
    }
    MBX_RETURN_IF_ERROR(Export());
    return std::move(result_);
  }

 private:
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };

  Status AddArchitecture(const json::Value& value) {
    MBX_ASSIGN_OR_RETURN(const std::string name, Text(value));
    constexpr std::string_view kPrefix = "SCMP_ARCH_";
    const uint32_t token =
        name.starts_with(kPrefix)
            ? seccomp_arch_resolve_name(core::AsciiLower(name.substr(kPrefix.size())).c_str())
            : 0;
    if (token == 0) {
      return Invalid(value, StrCat("'", core::EscapeControl(name), "' is not an architecture"));
    }
    const int added = seccomp_arch_add(context_.get(), token);
    if (added == 0 || added == -EEXIST) return Status();
    // One of another byte order or word size than ours: nothing here can make its calls.
    if (added == -EINVAL || added == -EDOM) return Status();
    return core::SysError("seccomp_arch_add", name, -added);
  }

  Status AddArchitectures(const json::Value& root) {
    for (const json::Value& value : root.Get("architectures").Elements()) {
      MBX_RETURN_IF_ERROR(AddArchitecture(value));
    }
    for (const json::Value& entry : root.Get("archMap").Elements()) {
      MBX_ASSIGN_OR_RETURN(const std::string main, Text(entry.Get("architecture")));
      constexpr std::string_view kNative =
#if defined(__x86_64__)
          "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
          "SCMP_ARCH_AARCH64";
#else
          "";
#endif
      // The map says what goes together; only our own line of it matters.
      if (main != kNative) continue;
      for (const json::Value& value : entry.Get("subArchitectures").Elements()) {
        MBX_RETURN_IF_ERROR(AddArchitecture(value));
      }
    }
    return Status();
  }

  Status CheckFlags(const json::Value& root) {
    MBX_ASSIGN_OR_RETURN(const std::vector<std::string> flags, TextList(root, "flags"));
    for (const std::string& flag : flags) {
      if (flag == "SECCOMP_FILTER_FLAG_TSYNC") continue;  // there is but one thread
      if (flag != "SECCOMP_FILTER_FLAG_LOG" && flag != "SECCOMP_FILTER_FLAG_SPEC_ALLOW" &&
          flag != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") {
        return Invalid(root.Get("flags"),
                       StrCat("'", core::EscapeControl(flag), "' is not a flag"));
      }
      result_.warnings.push_back(StrCat("seccomp: the flag ", flag, " has no effect"));
    }
    return Status();
  }

  Status AddRules(const json::Value& rule) {
    if (rule.type() != json::Type::kObject) return Named(rule, rule.Expected("an object"));
    MBX_ASSIGN_OR_RETURN(const auto number, ErrnoOf(rule, "errnoRet"));
    MBX_ASSIGN_OR_RETURN(const uint32_t action, ParseAction(rule.Get("action"), number));
    MBX_ASSIGN_OR_RETURN(std::vector<std::string> names, TextList(rule, "names"));
    if (const json::Value name = rule.Get("name"); !name.empty()) {
      MBX_ASSIGN_OR_RETURN(names.emplace_back(), Text(name));
    }
    if (names.empty()) return Invalid(rule.Get("names"), "is empty");
    std::vector<struct scmp_arg_cmp> arguments;
    if (const json::Value list = rule.Get("args");
        !list.empty() && list.type() != json::Type::kArray) {
      return Named(list, list.Expected("an array"));
    }
    for (const json::Value& argument : rule.Get("args").Elements()) {
      MBX_ASSIGN_OR_RETURN(arguments.emplace_back(), ParseArgument(argument));
    }
    MBX_ASSIGN_OR_RETURN(const bool applies, Applies(rule, capabilities_));
    // What happens anyhow is no rule.
    if (!applies || action == default_) return Status();
    for (const std::string& name : names) {
      const int call = seccomp_syscall_resolve_name(name.c_str());
      if (call == __NR_SCMP_ERROR) {
        unknown_.insert(name);
        continue;
      }
      MBX_RETURN_IF_ERROR(AddRule(rule, action, call, arguments));
    }
    return Status();
  }

  Status AddRule(const json::Value& rule, uint32_t action, int call,
                 const std::vector<struct scmp_arg_cmp>& arguments) {
    if (++rules_ > kMaxRules) return core::InvalidArgument("seccomp", "has too many rules");
    // Conditions on one argument are alternatives, those on several hold together.
    std::set<unsigned> seen;
    const bool alternatives = std::any_of(
        arguments.begin(), arguments.end(),
        [&](const struct scmp_arg_cmp& argument) { return !seen.insert(argument.arg).second; });
    if (!alternatives) return Add(rule, action, call, arguments);
    for (const struct scmp_arg_cmp& argument : arguments) {
      MBX_RETURN_IF_ERROR(Add(rule, action, call, {argument}));
    }
    return Status();
  }

  Status Add(const json::Value& rule, uint32_t action, int call,
             const std::vector<struct scmp_arg_cmp>& arguments) {
    const int added = seccomp_rule_add_array(
        context_.get(), action, call, static_cast<unsigned>(arguments.size()), arguments.data());
    // Said before, or said otherwise before: the first rule stands.
    if (added == 0 || added == -EEXIST) return Status();
    // A call that none of the architectures has.
    if (added == -EDOM) return Status();
    return Invalid(rule, StrCat("the rule is refused: ", strerror(-added)));
  }

  Status Export() {
    const core::Fd file(memfd_create("seccomp", MFD_CLOEXEC));
    if (!file.valid()) return core::SysError("memfd_create", "");
    if (const int exported = seccomp_export_bpf(context_.get(), file.get()); exported != 0) {
      return core::SysError("seccomp_export_bpf", "", -exported);
    }
    const off_t size = lseek(file.get(), 0, SEEK_END);
    constexpr off_t kInstruction = 8;
    if (size <= 0 || size % kInstruction != 0) return core::Internal("empty seccomp program");
    if (size / kInstruction > kMaxInstructions) {
      return core::InvalidArgument("seccomp", "the profile is too large for the kernel");
    }
    result_.program.resize(static_cast<size_t>(size));
    if (pread(file.get(), result_.program.data(), result_.program.size(), 0) != size) {
      return core::SysError("pread", "seccomp program");
    }
    return Status();
  }

  const uint64_t capabilities_;
  uint32_t default_ = 0;
  std::unique_ptr<void, Release> context_;
  std::set<std::string> unknown_;
  size_t rules_ = 0;
  CompiledProfile result_;
};

}  // namespace

StatusOr<CompiledProfile> CompileOciSeccomp(std::string_view profile, uint64_t capabilities) {
  const auto root = json::Parse(profile, {.max_bytes = kMaxProfile});
  if (!root.ok()) return core::InvalidArgument("seccomp", root.status().message());
  return Compiler(capabilities).Compile(*root);
}

}  // namespace minibox::kernel
