// A lane that shows how loud one direction was over the last seconds, newest at the right.
import { fullness } from "../audio/level.js";

const STEP_MS = 40;
const BAR = 3; // CSS pixels, and 1 between

export class Meter {
  constructor(canvas) {
    this.canvas = canvas;
    this.bars = []; // 0 to 1, newest last
    this.current = -100;
    this.steppedAt = 0;
    this.colours = "";
  }

  // The level now, in decibels below full scale.
  level(db) {
    this.current = Math.max(this.current, db);
  }

  // Show what came since the last frame; `isVoice` tells bars of a voice from those of noise.
  step(nowMs, isVoice) {
    if (nowMs - this.steppedAt < STEP_MS) return;
    this.steppedAt = nowMs;
    const value = fullness(this.current);
    this.current = -100;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const most = Math.ceil(width / (BAR + 1));
    const { color, outlineColor } = getComputedStyle(this.canvas); // of a voice, of noise
    const colours = `${color} ${outlineColor}`; // they change with the theme
    const isStill = this.bars.length === most && value === 0 && this.bars.every((bar) => bar.value === 0);
    this.bars.push({ value, isVoice: isVoice && value > 0 });
    while (this.bars.length < most) this.bars.unshift({ value: 0, isVoice: false });
    this.bars = this.bars.slice(-most);
    const percent = String(Math.round(value * 100));
    if (this.canvas.getAttribute("aria-valuenow") !== percent) this.canvas.setAttribute("aria-valuenow", percent);
    if (!isStill || colours !== this.colours) this.draw(width, height, color, outlineColor);
    this.colours = colours;
  }

  draw(width, height, color, outlineColor) {
    const scale = devicePixelRatio;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    this.bars.forEach(({ value, isVoice }, i) => {
      const x = width - (this.bars.length - i) * (BAR + 1);
      const tall = Math.max(2, value * height);
      pen.fillStyle = isVoice ? color : outlineColor;
      pen.fillRect(x, (height - tall) / 2, BAR, tall);
    });
  }
}
