#include "hidden_memory.h"

namespace {

// Whose V8 has one count of what it allocates itself and of what it is told.
constexpr uint32_t kLatestKnownNode = 24;

bool IsKnown(Napi::Env env) {
  const napi_node_version* version = nullptr;
  return napi_get_node_version(env, &version) == napi_ok && version->major <= kLatestKnownNode;
}

}  // namespace

HiddenMemory::HiddenMemory(Napi::Env env) : env_(env), is_possible_(IsKnown(env)) {}

bool HiddenMemory::Hide(int64_t length) {
  if (!is_possible_ || !PutSentinel()) return false;
  Count(length);
  return true;
}

void HiddenMemory::Show(int64_t length) {
  if (is_possible_) Count(-length);
}

bool HiddenMemory::PutSentinel() {
  auto* self = new std::shared_ptr<HiddenMemory>(shared_from_this());
  auto finalize = [](Napi::Env, void* data) {
    auto* self = static_cast<std::shared_ptr<HiddenMemory>*>(data);
    // One that was replaced is merely collected.
    if ((*self)->sentinel_data_ == data) (*self)->ShowAll();
    delete self;
  };
  Napi::ArrayBuffer sentinel = Napi::ArrayBuffer::New(env_, self, 1, finalize);
  // A worker that is being terminated gets no more objects.
  if (sentinel.IsEmpty()) {
    delete self;
    return false;
  }
  sentinel_data_ = self;
  sentinel_ = Napi::Persistent(sentinel);
  sentinel_.SuppressDestruct();
  return true;
}

void HiddenMemory::ShowAll() {
  Count(-length_);
  is_possible_ = false;
}

void HiddenMemory::Count(int64_t change) {
  length_ += change;
  int64_t total;
  napi_adjust_external_memory(env_, -change, &total);
}
