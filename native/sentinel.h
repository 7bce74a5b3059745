#pragma once
#include <napi.h>

#include <memory>

// Tells before an environment's ArrayBuffers end. At its end an environment
// detaches them, the latest first: so this is one, made anew after each that
// is to end later.
class Sentinel : public std::enable_shared_from_this<Sentinel> {
 public:
  virtual ~Sentinel() = default;

 protected:
  explicit Sentinel(Napi::Env env) : env_(env) {}

  // False when it could not be made: nothing is told then.
  bool Put();
  virtual void BuffersEnd() = 0;

  Napi::Env env_;

 private:
  Napi::Reference<Napi::ArrayBuffer> buffer_;
  void* data_ = nullptr;
};
