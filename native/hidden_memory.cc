#include "hidden_memory.h"

namespace {

// Whose V8 has one count of what it allocates itself and of what it is told.
constexpr uint32_t kLatestKnownNode = 24;

bool IsKnown(Napi::Env env) {
  const napi_node_version* version = nullptr;
  return napi_get_node_version(env, &version) == napi_ok && version->major <= kLatestKnownNode;
}

}  // namespace

HiddenMemory::HiddenMemory(Napi::Env env) : Sentinel(env), is_possible_(IsKnown(env)) {}

bool HiddenMemory::Hide(int64_t length) {
  if (!is_possible_ || !Put()) return false;
  Count(length);
  return true;
}

void HiddenMemory::Show(int64_t length) {
  if (is_possible_) Count(-length);
}

void HiddenMemory::BuffersEnd() {
  Count(-length_);
  is_possible_ = false;
}

void HiddenMemory::Count(int64_t change) {
  length_ += change;
  int64_t total;
  napi_adjust_external_memory(env_, -change, &total);
}
