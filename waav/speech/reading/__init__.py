"""Text as a person would read it aloud: numbers, dates, amounts, addresses and signs become words."""
