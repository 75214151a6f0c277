"""Words of Data Commons' schema that decide how a node is read, named or checked.

Source: the public schema, docs.datacommons.org, and the import tool's documentation (datacommonsorg/import).
"""

from __future__ import annotations


def _names(text: str) -> list[str]:
    return text.split()


OBSERVATION, STATISTICAL_VARIABLE = "StatVarObservation", "StatisticalVariable"

REFERENCES = frozenset(
    _names(
        "typeOf subClassOf subPropertyOf rangeIncludes domainIncludes specializationOf memberOf location"
        " variableMeasured observationAbout observedNode containedInPlace containedIn populationType measuredProperty"
        " populationGroup constraintProperties measurementMethod measurementDenominator measurementQualifier"
        " statType unit observationProperties"
    )
)
"""Properties whose values are nodes, whether or not a value bears a prefix."""

NO_CONSTRAINTS = frozenset(
    _names(
        "typeOf dcid provenance isPublic localCuratorLevelId url memberOf name label description descriptionUrl"
        " alternateName utteranceTemplate source footnote keyString resMCFFile populationType populationGroup location"
        " childhoodLocation constraintProperties measuredProperty statType measurementDenominator measurementQualifier"
        " censusACSTableId measurementMethod scalingFactor unit isNormalizable denominatorForNormalization"
        " observationProperties definition linkedMember linkedMemberOf"
    )
)
"""Properties of a statistical variable that do not narrow its population; all others do."""

OF_VARIABLE = frozenset(
    _names("typeOf populationType measuredProperty statType measurementQualifier measurementDenominator")
)
"""Of these the ones that tell one statistical variable from another, beside its constraints."""

KEY = (
    "observationAbout",
    "variableMeasured",
    "observationDate",
    "value",
    "observationPeriod",
    "unit",
    "measurementMethod",
    "scalingFactor",
)
"""Properties that name an observation, in the order of its key; the first four are required."""

LEGACY_KEY = tuple(
    _names(
        "observedNode observationDate measuredProperty observationPeriod unit measuredValue minValue maxValue sumValue"
        " meanValue medianValue marginOfError measurementMethod measurementResult stdError sampleSize percentile10"
        " percentile25 percentile75 percentile90 meanStdError growthRate stdDeviationValue confidenceIntervalLowerLimit"
        " confidenceIntervalUpperLimit kurtosisValue skewnessValue measurementDenominator measurementQualifier"
        " scalingFactor"
    )
)
"""The same of the old type Observation; the first three are required."""

PLACES = frozenset(
    _names(
        "Place Continent Country State Province County City StateComponent CensusCoreBasedStatisticalArea"
        " USMetropolitanDivision CensusCountyDivision CensusTract CensusBlockGroup CensusZipCodeTabulationArea"
        " CongressionalDistrict SchoolDistrict ElementarySchoolDistrict HighSchoolDistrict CommutingZone Borough Town"
        " Village Neighborhood EurostatNUTS1 EurostatNUTS2 EurostatNUTS3 AdministrativeArea AdministrativeArea1"
        " AdministrativeArea2 AdministrativeArea3 AdministrativeArea4 AdministrativeArea5"
    )
)
"""Types of which a node without dcid may be found by an identifier of others."""

IDENTIFIERS = tuple(
    _names(
        "unDataCode geoId isoCode nutsCode wikidataId geoNamesId istatId austrianMunicipalityKey"
        " indianCensusAreaCode2011 indianCensusAreaCode2001 lgdCode udiseCode fips52AlphaCode"
        " countryAlpha3Code countryNumericCode"
    )
)
"""Identifiers of a place, by which it may be found."""


def is_statistic(name: str) -> bool:
    """Whether a property of the old type Observation, or a statType, is a statistical value."""
    lowered = name.lower()
    ends = ("value", "estimate", "stderror", "samplesize", "growthrate", "limit", "ratio")
    return lowered.endswith(ends) or lowered.startswith("percentile") or lowered == "marginoferror"


def is_old_observation(kind: str) -> bool:
    """Whether a type is an observation of before StatVarObservation."""
    return kind.endswith("Observation") and kind != OBSERVATION


def is_population(kind: str) -> bool:
    """Whether a type is a population, which old observations are of."""
    return kind.endswith("Population")
