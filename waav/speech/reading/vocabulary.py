"""English tables: what abbreviations, units, currencies and signs are called."""

from typing import Final


def word_set(text: str) -> frozenset[str]:
    """The words of ``text``."""
    return frozenset(text.split())


def _rows(text: str) -> dict[str, str]:
    """Lines of ``written = said``; several spellings of one thing stand side by side, divided by spaces."""
    table = {}
    for line in text.strip().splitlines():
        written, _, said = line.partition(" = ")
        for spelling in written.split():
            table[spelling.replace("_", " ")] = said.strip()
    return table


MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MONTH_OF: Final = {name[:3]: name for name in MONTHS} | {name: name for name in MONTHS} | {
    "Sept": "September"
}  # fmt: skip
WEEKDAY_OF: Final = _rows(
    """
Mon = Monday
Tue Tues = Tuesday
Wed Weds = Wednesday
Thu Thur Thurs = Thursday
Fri = Friday
Sat = Saturday
Sun = Sunday
"""
)

TITLES: Final = _rows(
    """
Mr = Mister
Mrs = Missus
Ms = Miz
Mx = Mix
Dr = Doctor
Drs = Doctors
Prof = Professor
St = Saint
Ste = Sainte
Mt = Mount
Ft = Fort
Gen = General
Gov = Governor
Sen = Senator
Rep = Representative
Capt = Captain
Cpt = Captain
Lt = Lieutenant
Col = Colonel
Sgt = Sergeant
Cpl = Corporal
Pvt = Private
Maj = Major
Adm = Admiral
Cmdr = Commander
Rev = Reverend
Hon = Honorable
Pres = President
Fr = Father
Msgr = Monsignor
Supt = Superintendent
Atty = Attorney
Messrs = Messieurs
"""
)
"""Before a name, with a full stop; before a name also without one, where that is no word."""

PERIODS_WITHOUT_NAME: Final = word_set(
    "Col Gen Rep Hon Pres Fr Maj Adm Ft Mt St Ste Dr Rev Sen Gov Prof Capt Lt"
)
"""Titles that are something else, or nothing, where no name follows."""

NO_STREETS: Final = word_set(
    "The A An On In At To From See Visit Ask Hi Hello Dear Call And With By For Of Saint"
)
"""Capitals that are no name of a street."""

STREETS: Final = _rows(
    """
St = Street
Str = Street
Dr = Drive
Ave Av = Avenue
Blvd = Boulevard
Rd = Road
Ln = Lane
Ct = Court
Pl = Place
Sq = Square
Ter Terr = Terrace
Cir = Circle
Pkwy = Parkway
Hwy = Highway
Fwy = Freeway
Expy = Expressway
Xing = Crossing
Trl = Trail
"""
)
"""After a name."""

ABBREVIATIONS: Final = _rows(
    """
Jr jr = Junior
Sr = Senior
Apt apt = apartment
Ste ste = suite
Bldg bldg = building
Inc = Incorporated
Ltd = Limited
Corp = Corporation
Bros = Brothers
Assn = Association
Assoc = Associates
Intl = International
Natl = National
Dept dept = department
Depts = departments
Univ = University
Inst = Institute
Govt govt = government
Mgr mgr = manager
Mgmt = management
Acct acct = account
Accts = accounts
Appt appt = appointment
Appts = appointments
Amt amt = amount
Attn attn = attention
Approx approx = approximately
Avg avg = average
Max max = maximum
Min min = minimum
Est est = established
Incl incl = including
Excl excl = excluding
Misc misc = miscellaneous
Qty qty = quantity
Tel tel = telephone
vs v.s. = versus
etc = et cetera
cf = compare
viz = namely
resp = respectively
esp = especially
Rte = Route
Hrs hrs = hours
Hr hr = hour
Mins mins = minutes
Secs secs = seconds
Wk wk = week
Wks wks = weeks
Mos mos = months
Yr yr = year
Yrs yrs = years
doz = dozen
Tbsp tbsp = tablespoon
Tsp tsp = teaspoon
Gal gal = gallon
Oz oz = ounces
lbs lb = pounds
ft = feet
yd yds = yards
Mfg mfg = manufacturing
Mktg = marketing
Mon = Monday
Tue Tues = Tuesday
Wed Weds = Wednesday
Thu Thur Thurs = Thursday
Fri = Friday
Jan = January
Feb = February
Mar = March
Apr = April
Jun = June
Jul = July
Aug = August
Sep Sept = September
Oct = October
Nov = November
Dec = December
"""
)
"""With a full stop behind them."""

BEFORE_NUMBERS: Final = _rows(
    """
No no Nr nr = number
Nos nos = numbers
Pg pg p = page
pp = pages
Vol vol = volume
Vols vols = volumes
Ch ch = chapter
Sec = section
Fig fig = figure
Figs figs = figures
Art art = article
Para para = paragraph
Rm rm = room
Fl = floor
Ext ext Extn = extension
Ref ref = reference
ca c = circa
"""
)
"""With a full stop before a number only; elsewhere words that end a sentence."""

BEHIND_NUMBERS: Final = _rows(
    """
in = inches
mi = miles
sec = seconds
sq = square
cu = cubic
mo = months
"""
)
"""With a full stop behind a number only."""

BARE: Final = _rows(
    """
Mr = Mister
Mrs = Missus
Ms = Miz
vs = versus
etc = et cetera
approx = approximately
dept Dept = department
Ltd = Limited
aka AKA = also known as
w/ = with
w/o = without
w/in = within
b/c = because
c/o = care of
n/a N/A = not applicable
and/or = and or
appt = appointment
acct = account
qty Qty = quantity
Blvd = Boulevard
Hwy = Highway
Pkwy = Parkway
Ave = Avenue
VoIP = voip
GUI = gooey
PhD = P.H.D
PhDs = P.H.D's
iOS = I.O.S
macOS = mac O.S
iPadOS = I pad O.S
WhatsApp = Whats app
WiFi Wifi wifi Wi-Fi wi-fi = wi fi
COVID Covid = covid
ChatGPT = chat G.P.T
OpenAI = open A.I
GitHub Github = git hub
GitLab = git lab
LinkedIn = linked in
YouTube = you tube
PayPal = pay pal
JSON = jason
YAML = yammel
MySQL = my S.Q.L
PostgreSQL = Postgres Q.L
NoSQL = no S.Q.L
JPEG JPG jpeg jpg = jay peg
JPEGs = jay pegs
PNG png = P.N.G
pdf = P.D.F
html = H.T.M.L
css = C.S.S
mp3 MP3 = M P three
mp4 MP4 = M P four
mRNA = M R N eh
pH = P.H
kHz = kilohertz
MHz = megahertz
GHz = gigahertz
kWh = kilowatt hours
Mbps = megabits per second
Gbps = gigabits per second
mph = miles per hour
BTW btw = by the way
FYI = F.Y.I
IMO imo = in my opinion
IMHO = in my humble opinion
TBD = T.B.D
TBA = T.B.A
ETA = E.T.A
ASAP asap = A.S.A.P
RSVP = R.S.V.P
FAQ = F.A.Q
FAQs = F.A.Q's
IT = I.T
US = U.S
UK = U.K
EU = E.U
UN = U.N
AI = A.I
LA = L.A
DC = D.C
NYC = N.Y.C
AC = A.C
DC = D.C
TV = T.V
TVs = T.V's
PC = P.C
ID = I.D
IDs = I.D's
IP = I.P
OS = O.S
VIP = V.I.P
CEO = C.E.O
CFO = C.F.O
CTO = C.T.O
HR = H.R
PR = P.R
QA = Q.A
ER = E.R
ICU = I.C.U
MRI = M.R.I
DNA = D.N.A
HIV = H.I.V
ATM = A.T.M
ATMs = A.T.M's
APR = A.P.R
APY = A.P.Y
IRA = I.R.A
IRS = I.R.S
FBI = F.B.I
CIA = C.I.A
NSA = N.S.A
DMV = D.M.V
USA = U.S.A
UAE = U.A.E
USB = U.S.B
GPS = G.P.S
SMS = S.M.S
API = A.P.I
APIs = A.P.I's
URL = U.R.L
URLs = U.R.L's
HTTP = H.T.T.P
HTTPS = H.T.T.P.S
HTML = H.T.M.L
VPN = V.P.N
OTP = O.T.P
PDF = P.D.F
PDFs = P.D.F's
CSV = C.S.V
CD = C.D
DVD = D.V.D
DIY = D.I.Y
EV = E.V
EVs = E.V's
SUV = S.U.V
MBA = M.B.A
AM = A.M
PM = P.M
EST = E.S.T
EDT = E.D.T
CST = C.S.T
CDT = C.D.T
MST = M.S.T
PST = P.S.T
PDT = P.D.T
GMT = G.M.T
UTC = U.T.C
CET = C.E.T
IVR = I.V.R
SIP = sip
TTS = T.T.S
STT = S.T.T
LLM = L.L.M
LLMs = L.L.M's
RAM = ram
SIM = sim
PIN = pin
PINs = pins
ZIP = zip
VIN = vin
OK = okay
CC = C.C
BCC = B.C.C
"""
)
"""Without a full stop, exactly as written."""

SHOUTED: Final = word_set("IT US OK AM PM ID LA OS ER PIN IRA EST UN AC HR PR")
"""Those of them that are words where everything is in capitals."""

SMALL_WORDS: Final = word_set(
    "AH AM AN AS AT AW AX BE BY DO EH EX GO HA HE HI HO IF IN IS IT LO MA ME MY NO OF OH ON OR OW OX PA SO TO UH UM UP"
    " US WE YA YE YO"
)
"""Two capitals that are a word."""

INITIALS: Final = {
    "e.g": "for example",
    "eg": "for example",
    "i.e": "that is",
    "a.k.a": "also known as",
    "et.al": "and others",
    "q.v": "which see",
    "n.b": "note well",
    "p.a": "per year",
    "w.r.t": "with respect to",
}
"""Letters with full stops that stand for other words than their own."""

NO_BEGINNERS: Final = word_set(
    "EST EDT ET CST CDT CT MST MDT MT PST PDT PT GMT UTC CET Eastern Central Mountain Pacific Monday Tuesday Wednesday"
    " Thursday Friday Saturday Sunday January February March April May June July August September October November"
    " December I"
)
"""What may follow a time of day or a country inside a sentence, though it has a capital."""

BEGINNERS: Final = word_set(
    "The A An This That These Those It He She We They You I In On At If When While But And So However There Here What"
    " Who Where Why How Is Are Do Does Did Can Could Will Would Please Our Your My His Her Their Its For To After"
    " Before Since As Now Then Yes No Not Let All Some Any Each Every Most Many One Thank Thanks Also Press Call Go"
    " Sorry Okay Well Just Have Has Had With From By"
)
"""Words that begin a sentence after an abbreviation which may as well stand inside one."""

UNITS: Final = {
    row.split(" = ")[0]: tuple(row.split(" = ")[1].split(", "))
    for row in """
km = kilometer, kilometers
m = meter, meters
cm = centimeter, centimeters
mm = millimeter, millimeters
µm = micrometer, micrometers
nm = nanometer, nanometers
mi = mile, miles
yd = yard, yards
yds = yard, yards
ft = foot, feet
kg = kilogram, kilograms
g = gram, grams
mg = milligram, milligrams
µg = microgram, micrograms
mcg = microgram, micrograms
lb = pound, pounds
lbs = pound, pounds
oz = ounce, ounces
fl oz = fluid ounce, fluid ounces
t = ton, tons
L = liter, liters
l = liter, liters
ml = milliliter, milliliters
mL = milliliter, milliliters
dl = deciliter, deciliters
dL = deciliter, deciliters
cl = centiliter, centiliters
gal = gallon, gallons
qt = quart, quarts
pt = pint, pints
tsp = teaspoon, teaspoons
tbsp = tablespoon, tablespoons
mph = mile per hour, miles per hour
kph = kilometer per hour, kilometers per hour
kmh = kilometer per hour, kilometers per hour
mpg = mile per gallon, miles per gallon
rpm = R.P.M, R.P.M
bpm = beat per minute, beats per minute
fps = frame per second, frames per second
psi = P.S.I, P.S.I
Hz = hertz, hertz
kHz = kilohertz, kilohertz
MHz = megahertz, megahertz
GHz = gigahertz, gigahertz
B = byte, bytes
KB = kilobyte, kilobytes
kB = kilobyte, kilobytes
MB = megabyte, megabytes
GB = gigabyte, gigabytes
TB = terabyte, terabytes
PB = petabyte, petabytes
KiB = kibibyte, kibibytes
MiB = mebibyte, mebibytes
GiB = gibibyte, gibibytes
kb = kilobit, kilobits
Mb = megabit, megabits
Gb = gigabit, gigabits
kbps = kilobit per second, kilobits per second
Kbps = kilobit per second, kilobits per second
Mbps = megabit per second, megabits per second
Gbps = gigabit per second, gigabits per second
W = watt, watts
kW = kilowatt, kilowatts
MW = megawatt, megawatts
GW = gigawatt, gigawatts
kWh = kilowatt hour, kilowatt hours
MWh = megawatt hour, megawatt hours
Wh = watt hour, watt hours
V = volt, volts
kV = kilovolt, kilovolts
mV = millivolt, millivolts
mA = milliamp, milliamps
mAh = milliamp hour, milliamp hours
Ah = amp hour, amp hours
hp = horsepower, horsepower
J = joule, joules
kJ = kilojoule, kilojoules
cal = calorie, calories
kcal = kilocalorie, kilocalories
Pa = pascal, pascals
kPa = kilopascal, kilopascals
hPa = hectopascal, hectopascals
bar = bar, bars
dB = decibel, decibels
dBm = D.B.M, D.B.M
lm = lumen, lumens
ha = hectare, hectares
ac = acre, acres
sq ft = square foot, square feet
sq. ft. = square foot, square feet
sqft = square foot, square feet
sq m = square meter, square meters
sq mi = square mile, square miles
sq km = square kilometer, square kilometers
cc = C.C, C.C
px = pixel, pixels
pts = point, points
MP = megapixel, megapixels
dpi = D.P.I, D.P.I
ppm = part per million, parts per million
h = hour, hours
hr = hour, hours
hrs = hour, hours
min = minute, minutes
mins = minute, minutes
s = second, seconds
sec = second, seconds
secs = second, seconds
ms = millisecond, milliseconds
µs = microsecond, microseconds
ns = nanosecond, nanoseconds
wk = week, weeks
wks = week, weeks
yr = year, years
yrs = year, years
mo = month, months
mos = month, months
pct = percent, percent
""".strip().splitlines()
}
"""Behind a number: one, and more than one of it."""

PER: Final = {
    "s": "second",
    "sec": "second",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "hour": "hour",
    "d": "day",
    "day": "day",
    "wk": "week",
    "week": "week",
    "mo": "month",
    "month": "month",
    "mth": "month",
    "yr": "year",
    "year": "year",
    "night": "night",
    "person": "person",
    "user": "user",
    "seat": "seat",
    "unit": "unit",
    "item": "item",
    "mile": "mile",
    "gal": "gallon",
    "lb": "pound",
    "oz": "ounce",
    "kg": "kilogram",
    "g": "gram",
    "L": "liter",
    "l": "liter",
    "dL": "deciliter",
    "mL": "milliliter",
    "ml": "milliliter",
    "m": "meter",
    "m²": "square meter",
    "m³": "cubic meter",
    "s²": "second squared",
    "km": "kilometer",
    "kWh": "kilowatt hour",
    "sq ft": "square foot",
    "ft²": "square foot",
    "call": "call",
    "minute": "minute",
    "second": "second",
    "request": "request",
    "page": "page",
}
"""Behind a stroke: per what."""

CURRENCIES: Final = {
    sign: tuple(names.split(", "))
    for sign, names in _rows(
        """
$ = dollar, dollars, cent, cents
USD US$ = U.S dollar, U.S dollars, cent, cents
CAD C$ CA$ = Canadian dollar, Canadian dollars, cent, cents
AUD A$ AU$ = Australian dollar, Australian dollars, cent, cents
NZD NZ$ = New Zealand dollar, New Zealand dollars, cent, cents
HKD HK$ = Hong Kong dollar, Hong Kong dollars, cent, cents
SGD S$ = Singapore dollar, Singapore dollars, cent, cents
MXN MX$ Mex$ = Mexican peso, Mexican pesos, centavo, centavos
BRL R$ = real, reais, centavo, centavos
£ = pound, pounds, penny, pence
GBP = British pound, British pounds, penny, pence
€ EUR = euro, euros, cent, cents
¥ JPY = yen, yen, sen, sen
CNY RMB = yuan, yuan, fen, fen
₹ INR Rs Rs. = rupee, rupees, paisa, paise
₩ KRW = won, won, jeon, jeon
₽ RUB = ruble, rubles, kopek, kopeks
₺ TRY = lira, lira, kurush, kurush
₪ ILS = shekel, shekels, agora, agorot
₫ VND = dong, dong, xu, xu
₴ UAH = hryvnia, hryvnia, kopek, kopeks
₦ NGN = naira, naira, kobo, kobo
฿ THB = baht, baht, satang, satang
₱ PHP = peso, pesos, centavo, centavos
₿ BTC = bitcoin, bitcoin, ,
CHF Fr. = Swiss franc, Swiss francs, centime, centimes
SEK = Swedish krona, Swedish kronor, öre, öre
NOK = Norwegian krone, Norwegian kroner, øre, øre
DKK = Danish krone, Danish kroner, øre, øre
kr = krone, kroner, øre, øre
PLN zł = zloty, zloty, grosz, groszy
CZK Kč = koruna, koruna, ,
HUF Ft = forint, forint, ,
ZAR = rand, rand, cent, cents
AED = dirham, dirhams, fils, fils
SAR = riyal, riyals, halala, halalas
"""
    ).items()
}
"""One, and more than one; a hundredth of it, and more of them."""

SCALES: Final = {
    "k": "thousand",
    "K": "thousand",
    "m": "million",
    "M": "million",
    "mn": "million",
    "mm": "million",
    "MM": "million",
    "b": "billion",
    "B": "billion",
    "bn": "billion",
    "Bn": "billion",
    "t": "trillion",
    "T": "trillion",
    "tn": "trillion",
}
SCALE_WORDS: Final = ("hundred", "thousand", "million", "billion", "trillion", "quadrillion")

SIGNS: Final = _rows(
    """
% = percent
‰ = per mille
& = and
@ = at
+ = plus
= = equals
≠ = is not equal to
≈ ≅ = is about
≥ ⩾ = greater than or equal to
≤ ⩽ = less than or equal to
± = plus or minus
× = times
÷ = divided by
√ = the square root of
∞ = infinity
∑ = the sum of
∆ Δ = delta
π = pi
Ω = ohms
° = degrees
¢ = cents
§ = section
¶ = paragraph
© = copyright
№ = number
→ ⇒ = to
½ = one half
¼ = one quarter
¾ = three quarters
⅓ = one third
⅔ = two thirds
⅕ = one fifth
⅖ = two fifths
⅗ = three fifths
⅘ = four fifths
⅙ = one sixth
⅚ = five sixths
⅛ = one eighth
⅜ = three eighths
⅝ = five eighths
⅞ = seven eighths
$ = dollars
£ = pounds
€ = euros
¥ = yen
₹ = rupees
₿ = bitcoin
² = squared
³ = cubed
♀ = female
♂ = male
"""
)
FRACTION_SIGNS: Final = "½¼¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"

STATES: Final = _rows(
    """
AL = Alabama
AK = Alaska
AZ = Arizona
AR = Arkansas
CA = California
CO = Colorado
CT = Connecticut
DE = Delaware
FL = Florida
GA = Georgia
HI = Hawaii
ID = Idaho
IL = Illinois
IN = Indiana
IA = Iowa
KS = Kansas
KY = Kentucky
LA = Louisiana
ME = Maine
MD = Maryland
MA = Massachusetts
MI = Michigan
MN = Minnesota
MS = Mississippi
MO = Missouri
MT = Montana
NE = Nebraska
NV = Nevada
NH = New Hampshire
NJ = New Jersey
NM = New Mexico
NY = New York
NC = North Carolina
ND = North Dakota
OH = Ohio
OK = Oklahoma
OR = Oregon
PA = Pennsylvania
RI = Rhode Island
SC = South Carolina
SD = South Dakota
TN = Tennessee
TX = Texas
UT = Utah
VT = Vermont
VA = Virginia
WA = Washington
WV = West Virginia
WI = Wisconsin
WY = Wyoming
DC = D.C
"""
)
"""Behind a comma or before a postal code."""

FIRST_NAMES: Final = word_set(
    "John William James Charles George Thomas Henry Robert Edward Richard Joseph David Michael Daniel Samuel Frank"
    " Walter Arthur Albert Harold Howard Davis Martin Benjamin Peter Paul Mark Andrew Anthony Donald Kenneth Steven"
    " Jack Harry Fred Louis Alexander Matthew Christopher Patrick Philip Stephen Theodore Douglas Gerald Lawrence"
    " Raymond Roger Russell Carl Ralph Roy Eugene Bruce Billy Joe Sam Dale Hank Ken Loudon Cornelius"
)
"""Before a family name and a roman numeral: John Smith III is the third."""

NO_NUMERALS: Final = word_set("CD DC MC MD CC DI MI LI CV CI MM CM DM MIX DIM LCD")
"""Letters of roman numerals that are something else."""

LETTER_NAMED: Final = word_set(
    "vitamin version grade plan option section part row gate terminal group type class hepatitis exhibit level letter"
    " team side point answer platform building block unit press choose appendix"
)
"""What is named by a letter: behind it, A is one."""

VERSIONED: Final = word_set(
    "version versions v ver release python java javascript node php ruby go rust swift android ios macos windows ubuntu"
    " debian fedora kernel linux firmware build update chrome firefox safari django react vue angular bluetooth usb http"
    " html gpt claude llama gemini wpa tls ssl wi-fi wifi"
)
"""What is followed by the number of a version."""

RULERS: Final = word_set(
    "Pope King Queen Emperor Empress Tsar Czar Kaiser Prince Henry Louis Edward George William Charles James Richard"
    " Elizabeth Mary Napoleon Pius Benedict Leo Paul John Ramses Rameses Frederick Friedrich Wilhelm Philip Philippe"
    " Alexander Alfonso Nicholas Peter Catherine Ivan Umberto Emmanuel Gustav Christian Ferdinand Francis Joseph Felipe"
    " Carlos Juan Albert Leopold Baldwin Otto Haakon Olaf Harald Constantine Theodore Justinian Gregory Clement"
    " Innocent Urban Boniface Stephen Robert David Malcolm Margaret Anne Selassie Darius Xerxes Cyrus Thutmose"
    " Amenhotep Ptolemy Cleopatra Mehmed Suleiman Selim Murad"
)
"""Names that are counted in ordinals: Henry VIII is Henry the eighth."""

SECTIONS: Final = word_set(
    "chapter part act scene section volume vol book phase article war mark type level stage class grade bowl apollo"
    " gemini fantasy episode round rocky title appendix table figure item exhibit annex unit module lesson step category"
    " tier schedule form factor"
)
"""What is counted in cardinals: Chapter IV is chapter four, World War II is World War two."""

CODES: Final = word_set(
    "code codes pin pins passcode passcodes otp cvv cvc password zip postcode ssn extension ext iban imei serial vin"
    " isbn sku verification authorization authentication confirmation tracking reference ref pnr"
)
"""What is followed by characters that are read one by one, however many."""

NUMBERED: Final = word_set(
    "account acct order ticket case invoice card policy member membership booking reservation license licence id number"
    " numbers phone fax tel telephone mobile cell contact routing claim customer patient loan part model request"
    " transaction receipt file shipment package voucher no whatsapp sms"
)
"""The same, where at least four digits follow behind "is" and the like, or five at once."""

DIALLED: Final = word_set("call dial text phone ring calling dialing dialling texting fax")
"""What is followed by a number that is dialled."""

FILLERS: Final = word_set(
    "is was are be as to with of the in no number numbers id following ending ends that digits below here again your"
    " our equals reads and or from changed set reset enter"
)
"""Words that may stand between "code" and the code."""

ROOMS: Final = word_set(
    "room suite apartment apt ste unit gate flight highway route interstate hwy rte bus"
)
"""What is followed by a number that is read in pairs: room 204 is room two oh four."""

ENDINGS: Final = word_set(
    "com org net edu gov mil int io co ai app dev info biz uk us ca de fr eu au nz ie jp cn tv me ly xyz tech online shop"
    " store site cloud nl se no dk fi es pt pl ch at be br mx in ru"
)
"""Last parts of domain names."""
SPELLED_ENDINGS: Final = word_set("io ai edu uk us ca de fr eu au nz ie jp cn tv ly xyz nl se dk fi es pt pl ch br mx ru js ts py rb cpp css html htm pdf"
    " xml csv png php sql mp wav cfg md txt docx xlsx pptx exe dll sh ini conf yml yaml json log"
    )  # fmt: skip
FILES: Final = word_set(
    "pdf docx? xlsx? pptx? txt csv json ya?ml xml html? css js ts py rb cpp php sql sh ini conf cfg md log png gif svg"
    " mp[34] wav zip gz exe dll dmg"
)
"""Ends of file names, as patterns."""

COINS: Final = word_set("bill bills note notes coin coins")
"""What is paid with: ten dollar bills."""

NO_NOUNS: Final = word_set(
    "a about after again all am an and are around as at be because been before behind below between but by could"
    " did do does down during each every extra few for from had has have high if in instead into is it long less may"
    " more must next no nor not now of off old on once only or out over owed per plus shall should since so tall than"
    " that the them then there this through thick times to today toward under until up was we were what when which"
    " while wide will with within without would yet you apart away deep left paid wo"
)
"""Small words that are no thing of which an amount tells the kind."""

BEFORE_SINGULAR: Final = word_set(
    "a an the one your this that another each my our her his their any every"
)
"""Before an amount that tells of what kind a thing is: a five dollar fee."""

PARTS: Final = word_set("2 3 4 5 6 7 8 9 10 11 12 16 20")
"""Of fractions. Two numbers with another of them below are a date."""

BEFORE_YEARS: Final = word_set(
    "in since of from until till by before after during year around circa ca c early mid late the summer winter spring fall"
    " autumn class born founded established released january february march april may june july august september october"
    " november december copyright model"
)
"""Before a year."""

BEFORE_DATES: Final = word_set(
    "on by until till before after since from due through of dated between starting"
)
"""Before a date."""

DOMAIN_WORDS: Final = word_set(
    "com org net gov mil info biz app dev tech shop store site cloud online co me int"
)
"""Parts of domain names that are said as words."""

MANY: Final = word_set("people men women children of feet")
"""What is counted, though it does not end in s."""
