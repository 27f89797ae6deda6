// Light, dark, or as the system has it.

// Show `theme`: "system", "light" or "dark".
export function paint(theme) {
  document.documentElement.dataset.theme = theme;
  for (const radio of document.querySelectorAll("input[name=theme]")) radio.checked = radio.value === theme;
}
