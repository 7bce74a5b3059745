#pragma once
#include <napi.h>
#include <uv.h>

#include "loop_handle.h"

// While it is started the event loop goes round without waiting for events, and yet is not kept alive.
class Idle : public Napi::ObjectWrap<Idle> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);

  explicit Idle(const Napi::CallbackInfo& info);

 private:
  void Start(const Napi::CallbackInfo& info);
  void Stop(const Napi::CallbackInfo& info);

  LoopHandle<uv_idle_t, Idle> idle_;
};
