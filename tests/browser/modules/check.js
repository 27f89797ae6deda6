// What the module tests are written with. Each `test` is one sentence about what a user would notice.

const tests = [];

export const test = (sentence, body) => tests.push({ sentence, body });

export function equal(actual, expected) {
  const [found, wanted] = [actual, expected].map((value) => JSON.stringify(value, plain));
  if (found !== wanted) throw new Error(`${found.slice(0, 300)} is not ${wanted.slice(0, 300)}`);
}

export function near(actual, expected, by) {
  if (!(Math.abs(actual - expected) <= by)) throw new Error(`${actual} is not within ${by} of ${expected}`);
}

export function matches(text, pattern) {
  if (!pattern.test(text)) throw new Error(`${JSON.stringify(text)} does not match ${pattern}`);
}

export async function raises(work, pattern) {
  try {
    await work();
  } catch (error) {
    matches(error.message, pattern);
    return;
  }
  throw new Error("nothing was raised");
}

// {sentence, error} of each test; error is "" where it held.
export async function run() {
  const results = [];
  for (const { sentence, body } of tests) {
    try {
      await body();
      results.push({ sentence, error: "" });
    } catch (error) {
      results.push({ sentence, error: `${error.message}\n${error.stack}` });
    }
  }
  return results;
}

// Typed arrays as lists; what JSON has no word for as text.
function plain(key, value) {
  if (ArrayBuffer.isView(value)) return [...value];
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value === undefined ? "undefined" : value;
}
