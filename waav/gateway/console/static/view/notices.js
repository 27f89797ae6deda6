// What went wrong, or what the person should know, with what can be done about it at once.
import { byId, make } from "./dom.js";

const LABELS = { again: "Call again", settings: "Open settings" };

export class Notices {
  // `act(action)` is called when one of a problem's actions is chosen.
  constructor(act) {
    this.box = byId("notices");
    this.act = act;
    this.problem = null;
  }

  // Show a problem instead of the last one; null: nothing is wrong any more.
  show(problem) {
    this.problem?.remove();
    this.problem = problem && this.build(problem, "problem", "alert");
    if (this.problem) this.box.append(this.problem);
  }

  // Show what is true until it is closed, or something else of the same kind is told.
  tell(kind, notices) {
    for (const old of this.box.querySelectorAll(`.${kind}`)) old.remove();
    this.box.prepend(...notices.map((notice) => this.build(notice, `notice ${kind}`, "note")));
  }

  build({ title, advice, more = "What exactly was said", detail, actions }, className, role) {
    const buttons = actions.map((action) => make("button", { type: "button", onclick: () => this.act(action) }, LABELS[action]));
    const close = make("button", { type: "button", className: "quiet close", attributes: { "aria-label": "Close this message" } }, "×");
    const body = [make("p", { className: "what" }, make("b", {}, title)), make("p", { className: "advice" }, advice)];
    if (detail) body.push(make("details", {}, make("summary", {}, more), make("p", { className: "detail" }, detail)));
    if (buttons.length) body.push(make("p", { className: "actions" }, ...buttons));
    const notice = make("div", { className, attributes: { role } }, close, ...body);
    close.onclick = () => notice.remove();
    return notice;
  }
}
