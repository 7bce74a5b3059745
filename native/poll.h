#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>

#include "loop_handle.h"

// A uv_poll handle on a Descriptor: calls back on this environment's loop when
// it is readable or hung up. It keeps its descriptor open until libuv let go.
class Poll : public Napi::ObjectWrap<Poll> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);
  explicit Poll(const Napi::CallbackInfo& info);

 private:
  void Start(const Napi::CallbackInfo& info);
  void Stop(const Napi::CallbackInfo& info);
  void RefLoop(const Napi::CallbackInfo& info);
  void UnrefLoop(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void OnEvents();

  LoopHandle<uv_poll_t, Poll> handle_;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
};
