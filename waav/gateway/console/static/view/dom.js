// Shorthand for building the page.

export const byId = (id) => document.getElementById(id);

// An element with properties, attributes in `attributes`, and children: elements, or text.
export function make(tag, { attributes = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Have the browser save `text` as a file.
export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// 12:03:04, and with milliseconds.
export const timeOf = (at) => at.toTimeString().slice(0, 8);
export const preciseTimeOf = (at) => `${timeOf(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`;

// Keeps the end of a list that grows in view, unless the person has scrolled back. Returns what to call when it grew.
export function following(list) {
  let isFollowing = true;
  list.addEventListener("scroll", () => {
    isFollowing = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  });
  const follow = () => {
    if (isFollowing) list.scrollTop = list.scrollHeight;
  };
  new ResizeObserver(follow).observe(list);
  return follow;
}
