// SPDX-License-Identifier: Apache-2.0
// What every host's control groups must do. The suite runs over imitations of both versions
// (cgroup_test.cc) and over the running kernel's (cgroup_kernel_test.cc).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernel/cgroup.h"
#include "support/scratch.h"

namespace minibox::kernel {

constexpr char kTestParent[] = "mbxtest-kernel";

class CgroupHost {
 public:
  virtual ~CgroupHost() = default;
  virtual std::unique_ptr<CgroupDriver> Driver(std::string_view parent) const = 0;
  // Directories that groups are made in, to look into.
  virtual std::vector<std::string> Roots() const = 0;
  // Makes the file of a group refuse what is written next.
  virtual void BreakCpuset(const Cgroup& group) const = 0;
  virtual bool is_kernel() const = 0;
};

struct CgroupHostParam {
  std::string name;
  std::function<std::unique_ptr<CgroupHost>()> make;
};
inline void PrintTo(const CgroupHostParam& param, std::ostream* out) { *out << param.name; }

class CgroupConformance : public ::testing::TestWithParam<CgroupHostParam> {
 protected:
  void SetUp() override;
  // None of the hierarchies has a directory of ours left.
  void ExpectNothingLeft();
  // First line of the first of `files` that some directory of the group has.
  static std::string Value(const Cgroup& group, std::initializer_list<const char*> files);
  bool Has(std::string_view controller) const;

  std::unique_ptr<CgroupHost> host_;
  std::unique_ptr<CgroupDriver> driver_;
};

}  // namespace minibox::kernel
