#include "deferral.h"

#include "error.h"
#include "exports.h"

namespace {

// reportUncaught(error): to who listens for it, or the process ends, as after a callback of the event loop. The
// stack of async ids is empty then.
Napi::Value Report(const Napi::CallbackInfo& info) {
  napi_fatal_exception(info.Env(), info[0]);
  return info.Env().Undefined();
}

}  // namespace

void Deferral::Init(Napi::Env env, Napi::Object exports) {
  ExportFunction<Report>(env, exports, "reportUncaught");
  Napi::Function constructor =
      DefineClass(env, "Deferral", {InstanceMethod<&Deferral::Schedule>("schedule")});
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Deferral", constructor, napi_enumerable));
}

// new Deferral(callback, isSoon)
Deferral::Deferral(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Deferral>(info) {
  bool is_soon = info[1].As<Napi::Boolean>();
  if (is_soon && !check_.Open(info.Env(), this, "uv_check_init", nullptr, uv_check_init)) return;
  if (!idle_.Open(info.Env(), this, "uv_idle_init", nullptr, uv_idle_init)) return;
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
}

// schedule(): the callback is called once, from the event loop, which it keeps alive until then: in its next round, or
// soon, which is before all immediates.
void Deferral::Schedule(const Napi::CallbackInfo&) {
  if (idle_.get() == nullptr) return;
  // Started later than Node's own, and so called before it.
  if (check_.get() != nullptr) {
    uv_check_start(check_.get(), [](uv_check_t* it) { LoopHandle<uv_check_t, Deferral>::OwnerOf(it)->OnTurn(); });
  }
  uv_idle_start(idle_.get(), [](uv_idle_t* it) { LoopHandle<uv_idle_t, Deferral>::OwnerOf(it)->OnTurn(); });
}

void Deferral::OnTurn() {
  if (check_.get() != nullptr) uv_check_stop(check_.get());
  uv_idle_stop(idle_.get());
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  napi_value result;
  ReportUncaught(env, napi_call_function(env, Value(), callback_.Value(), 0, nullptr, &result));
}
