#include "sentinel.h"

bool Sentinel::Put() {
  auto* self = new std::shared_ptr<Sentinel>(shared_from_this());
  auto finalize = [](Napi::Env, void* data) {
    auto* self = static_cast<std::shared_ptr<Sentinel>*>(data);
    // One that was replaced is merely collected.
    if ((*self)->data_ == data) (*self)->BuffersEnd();
    delete self;
  };
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env_, self, 1, finalize);
  // A worker that is being terminated gets no more objects.
  if (buffer.IsEmpty()) {
    delete self;
    return false;
  }
  data_ = self;
  buffer_ = Napi::Persistent(buffer);
  buffer_.SuppressDestruct();
  return true;
}
